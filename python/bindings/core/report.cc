#include "tidemark/report/report.h"

#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "bound_graph.h"
#include "module.h"
#include "tidemark/report/explain.h"

namespace tidemark::bindings {
namespace {

using Counts = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t>;
using Arena = std::tuple<std::string, Bytes, Bytes, Bytes>;

std::pair<std::string, std::string> report(const BoundGraph& bound, const Plan* plan,
                                           const std::optional<Counts>& counts,
                                           std::optional<Bytes> measured_peak_bytes,
                                           const std::optional<Arena>& arena) {
  ReportOptions options;
  if (counts) {
    const auto& [watched, planned, adapted, diverged] = *counts;
    options.steps = StepCounts{watched, planned, adapted, diverged};
  }
  options.measured_peak_bytes = measured_peak_bytes;
  if (arena) {
    const auto& [why_not, block_bytes, height, lower_bound] = *arena;
    options.arena = ArenaBytes{why_not, block_bytes, height, lower_bound};
  }
  const Report made = plan == nullptr ? make_report(bound.graph, options)
                                      : make_report(bound.graph, *plan, options);
  return {to_text(made), to_json(made)};
}

std::pair<std::string, std::string> explanation(const BoundGraph& bound, const Plan& plan,
                                                const std::string& scope, int max_values) {
  const py::gil_scoped_release unlocked;
  const Explanation made =
      explain(bound.graph, plan, {.scope = scope, .max_values = max_values, .planning = {}});
  return {to_text(made), to_json(made)};
}

}  // namespace

void bind_report(py::module_& m) {
  m.def("report", &report, py::arg("graph"), py::arg("plan").none(true), py::arg("counts"),
        py::arg("measured_peak_bytes"), py::arg("arena"));
  m.def("explain", &explanation);
}

}  // namespace tidemark::bindings
