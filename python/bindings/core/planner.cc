#include "tidemark/plan/planner.h"

#include <pybind11/stl.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "../plan_failure.h"
#include "bound_graph.h"
#include "module.h"

namespace tidemark::bindings {
namespace {

PlanOptions options_of(const std::string& policy, double time_limit) {
  PlanOptions options;
  options.policy = policy;
  options.time_limit_s = time_limit;
  return options;
}

std::variant<Plan, PlanFailure> plan_unlocked(const BoundGraph& bound, Bytes budget,
                                              const std::string& policy, double time_limit,
                                              bool least_feasible) {
  const py::gil_scoped_release unlocked;
  PlanOptions options = options_of(policy, time_limit);
  options.least_feasible = least_feasible;
  Result<Plan, PlanFailure> answer = plan(bound.graph, budget, options);
  if (!answer) return answer.failure();
  return *std::move(answer);
}

Frontier frontier_unlocked(const BoundGraph& bound, std::vector<Bytes> budgets,
                           const std::string& policy, double time_limit, int points) {
  const py::gil_scoped_release unlocked;
  return frontier(bound.graph, std::move(budgets), options_of(policy, time_limit), points);
}

const Event& floor_op(const PlanFailure& failure, const BoundGraph& bound) {
  return bound.graph.events.at(static_cast<std::size_t>(failure.floor_event));
}

}  // namespace

void bind_planner(py::module_& m) {
  py::class_<PlanFailure>(m, "PlanFailure")
      .def_readonly("budget_bytes", &PlanFailure::budget_bytes)
      .def_readonly("least_feasible_bytes", &PlanFailure::least_feasible_bytes)
      .def_readonly("floor_bytes", &PlanFailure::floor_bytes)
      .def_readonly("unplanned_peak_bytes", &PlanFailure::unplanned_peak_bytes)
      .def_readonly("sentence", &PlanFailure::sentence)
      .def_property_readonly("timed_out", &timed_out)
      .def_property_readonly("fixed_bytes", &fixed_bytes)
      .def("op", [](const PlanFailure& f, const BoundGraph& g) { return floor_op(f, g).name; })
      .def("scope", [](const PlanFailure& f, const BoundGraph& g) { return floor_op(f, g).scope; })
      .def("source",
           [](const PlanFailure& f, const BoundGraph& g) { return floor_op(f, g).source; });
  py::class_<Frontier>(m, "Frontier")
      .def_readonly("plans", &Frontier::plans)
      .def_readonly("infeasible", &Frontier::infeasible)
      .def_readonly("least_feasible_bytes", &Frontier::least_feasible_bytes)
      .def_readonly("floor_bytes", &Frontier::floor_bytes)
      .def_readonly("unplanned_peak_bytes", &Frontier::unplanned_peak_bytes);
  m.def("plan", &plan_unlocked);
  m.def("frontier", &frontier_unlocked);
  m.def("policies", &policies);
}

}  // namespace tidemark::bindings
