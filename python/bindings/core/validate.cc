#include "tidemark/plan/validate.h"

#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <tuple>

#include "bound_graph.h"
#include "module.h"

namespace tidemark::bindings {
namespace {

using Found = std::tuple<std::string, EventIndex, ValueIndex, std::string>;

std::optional<Found> validate_unlocked(const BoundGraph& bound, const Plan& plan) {
  const py::gil_scoped_release unlocked;
  const std::optional<Violation> found = validate(bound.graph, plan);
  if (!found) return std::nullopt;
  return Found{to_string(found->rule), found->event, found->value, found->sentence};
}

}  // namespace

void bind_validate(py::module_& m) { m.def("validate", &validate_unlocked); }

}  // namespace tidemark::bindings
