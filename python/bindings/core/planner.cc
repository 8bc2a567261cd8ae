#include "tidemark/plan/planner.h"

#include <pybind11/stl.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "../plan_failure.h"
#include "bound_graph.h"
#include "module.h"
#include "tidemark/plan/least_memory.h"

namespace tidemark::bindings {
namespace {

using Patterns = std::vector<std::string>;

// What a search tells Python: the callback's `False`, a signal (Ctrl-C) or an exception ends it;
// the latter two are raised afterwards.
class Listener {
 public:
  explicit Listener(py::object callback = py::none()) : callback_(std::move(callback)) {}

  std::function<bool(const Progress&)> ask() {
    return [this](const Progress& progress) { return goes_on(progress); };
  }
  void raise() const {
    if (has_raised_) throw py::error_already_set();
  }

 private:
  bool goes_on(const Progress& progress) {
    const py::gil_scoped_acquire locked;
    has_raised_ = has_raised_ || PyErr_CheckSignals() != 0;
    if (has_raised_ || callback_.is_none()) return !has_raised_;
    try {
      return !callback_(progress.num_searches, progress.budget_bytes).is(py::bool_(false));
    } catch (py::error_already_set& error) {
      error.restore();
      has_raised_ = true;
      return false;
    }
  }

  py::object callback_;
  bool has_raised_ = false;
};

PlanOptions options_of(const std::string& policy, double time_limit, Patterns keep,
                       Patterns recompute) {
  PlanOptions options;
  options.policy = policy;
  options.time_limit_s = time_limit;
  options.wishes = {std::move(keep), std::move(recompute)};
  return options;
}

// Calls `search` with these options while other threads of Python run.
template <typename Search>
auto listening(PlanOptions options, Listener listener, Search search) {
  options.progress = listener.ask();
  auto found = [&] {
    const py::gil_scoped_release unlocked;
    return search(options);
  }();
  listener.raise();
  return found;
}

std::variant<Plan, PlanFailure> either(Result<Plan, PlanFailure> answer) {
  if (!answer) return answer.failure();
  return *std::move(answer);
}

std::variant<Plan, PlanFailure> plan_unlocked(const BoundGraph& bound, Bytes budget,
                                              const std::string& policy, double time_limit,
                                              Patterns keep, Patterns recompute, double effort,
                                              py::object progress, bool least_feasible) {
  PlanOptions options = options_of(policy, time_limit, std::move(keep), std::move(recompute));
  options.effort = effort;
  options.least_feasible = least_feasible;
  return listening(std::move(options), Listener(std::move(progress)),
                   [&](const PlanOptions& o) { return either(plan(bound.graph, budget, o)); });
}

std::variant<Plan, PlanFailure> least_memory_unlocked(const BoundGraph& bound, double max_slowdown,
                                                      const std::string& policy, double time_limit,
                                                      Patterns keep, Patterns recompute) {
  return listening(options_of(policy, time_limit, std::move(keep), std::move(recompute)),
                   Listener(), [&](const PlanOptions& o) {
                     return either(least_memory_plan(bound.graph, max_slowdown, o));
                   });
}

std::unique_ptr<BoundGraph> step_at_batch_unlocked(const BoundGraph& a, std::int64_t batch_a,
                                                   const BoundGraph& b, std::int64_t batch_b,
                                                   std::int64_t batch) {
  const py::gil_scoped_release unlocked;
  return std::make_unique<BoundGraph>(step_at_batch({a.graph, batch_a}, {b.graph, batch_b}, batch));
}

MaxBatch max_batch_unlocked(const BoundGraph& a, std::int64_t batch_a, const BoundGraph& b,
                            std::int64_t batch_b, Bytes budget, double max_slowdown,
                            const std::string& policy, double time_limit) {
  return listening(options_of(policy, time_limit, {}, {}), Listener(), [&](const PlanOptions& o) {
    return max_batch({a.graph, batch_a}, {b.graph, batch_b}, budget, max_slowdown, o);
  });
}

Frontier frontier_unlocked(const BoundGraph& bound, const std::vector<Bytes>& budgets,
                           const std::string& policy, double time_limit, int points) {
  return listening(options_of(policy, time_limit, {}, {}), Listener(),
                   [&](const PlanOptions& o) { return frontier(bound.graph, budgets, o, points); });
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
      .def_property_readonly("lower_bound_ns", &lower_bound_ns)
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
  py::class_<MaxBatch>(m, "MaxBatch")
      .def_readonly("batch", &MaxBatch::batch)
      .def_readonly("unplanned_batch", &MaxBatch::unplanned_batch)
      .def_readonly("plan", &MaxBatch::plan);
  m.def("plan", &plan_unlocked);
  m.def("least_memory_plan", &least_memory_unlocked);
  m.def("step_at_batch", &step_at_batch_unlocked);
  m.def("max_batch", &max_batch_unlocked);
  m.def("frontier", &frontier_unlocked);
  m.def("policies", &policies);
}

}  // namespace tidemark::bindings
