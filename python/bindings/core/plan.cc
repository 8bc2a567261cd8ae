#include "tidemark/plan/plan.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <string>

#include "bound_graph.h"
#include "module.h"
#include "tidemark/plan/plan_json.h"
#include "tidemark/plan/signature.h"

namespace tidemark::bindings {
namespace {

std::optional<std::string> difference(const Plan& plan, const BoundGraph& bound) {
  const py::gil_scoped_release unlocked;
  return first_difference(plan.signature, signature(bound.graph));
}

}  // namespace

void bind_plan(py::module_& m) {
  py::class_<Plan>(m, "Plan")
      .def("to_json", [](const Plan& plan) { return to_json(plan); })
      .def_readonly("policy", &Plan::policy)
      .def_readonly("budget_bytes", &Plan::budget_bytes)
      .def_readonly("graph_hash", &Plan::graph_hash)
      .def_readonly("peak_bytes", &Plan::peak_bytes)
      .def_readonly("peak_event", &Plan::peak_event)
      .def_readonly("unplanned_peak_bytes", &Plan::unplanned_peak_bytes)
      .def_readonly("floor_bytes", &Plan::floor_bytes)
      .def_readonly("least_feasible_bytes", &Plan::least_feasible_bytes)
      .def_readonly("step_ns", &Plan::step_ns)
      .def_readonly("recompute_ns", &Plan::recompute_ns)
      .def_readonly("lower_bound_ns", &Plan::lower_bound_ns)
      .def("with_lower_bound",
           [](Plan plan, Nanoseconds bound) {
             // A plan proves that no bound is above it.
             const Nanoseconds least = std::min(bound, plan.recompute_ns);
             plan.lower_bound_ns = std::max(plan.lower_bound_ns, least);
             return plan;
           })
      .def_property_readonly("keep", [](const Plan& plan) { return plan.wishes.keep; })
      .def_property_readonly("recompute", [](const Plan& plan) { return plan.wishes.recompute; })
      .def_readonly("num_replays", &Plan::num_replays)
      .def_readonly("num_ops", &Plan::num_ops)
      .def_readonly("num_values", &Plan::num_values)
      .def("__eq__", [](const Plan& a, const Plan& b) { return a == b; })
      .attr("__hash__") = py::none();
  m.def("plan_from_json", [](const std::string& json) { return plan_from_json(json); });
  m.def("first_difference", &difference);
}

}  // namespace tidemark::bindings
