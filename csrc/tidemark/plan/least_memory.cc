#include "tidemark/plan/least_memory.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "tidemark/base/error.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/simulate.h"

namespace tidemark {
namespace {

constexpr int kPoints = 12;  // budgets looked at, first over the whole range, then in between two
constexpr std::int64_t kMostBatch = std::int64_t{1} << 24;

void check_slowdown(double max_slowdown) {
  TIDEMARK_CHECK_VALUE(max_slowdown >= 1, "max_slowdown is ", max_slowdown,
                       "; it is a factor of the step's time, so 1 or above");
}

bool is_fast_enough(const Plan& plan, double max_slowdown) {
  return static_cast<double>(plan.recompute_ns) <=
         (max_slowdown - 1) * static_cast<double>(plan.step_ns);
}

// Sizes and costs between those of two steps, or beyond them.
class Line {
 public:
  Line(std::int64_t from, std::int64_t to, std::int64_t at)
      : share_(static_cast<double>(at - from) / static_cast<double>(to - from)) {}

  std::int64_t at(std::int64_t from, std::int64_t to) const {
    const double value = static_cast<double>(from) + share_ * static_cast<double>(to - from);
    return std::max<std::int64_t>(0, std::llround(value));
  }

 private:
  double share_;
};

void fail_alike(std::string_view kind, std::size_t index, const std::string& a,
                const std::string& b) {
  TIDEMARK_CHECK_VALUE(false, "the two steps are not the same step at two batches: ", kind, ' ',
                       index, " is ", a, " in one and ", b, " in the other");
}

void check_alike(const StepGraph& a, const StepGraph& b) {
  const auto counts = [](const StepGraph& graph) {
    return std::to_string(graph.events.size()) + " events, " + std::to_string(graph.values.size()) +
           " values";
  };
  if (counts(a) != counts(b)) fail_alike("graph", 0, counts(a), counts(b));
  for (std::size_t e = 0; e < a.events.size(); ++e) {
    const Event& x = a.events[e];
    const Event& y = b.events[e];
    const bool is_alike = x.kind == y.kind && x.name == y.name && x.inputs == y.inputs &&
                          x.outputs == y.outputs && x.handles == y.handles;
    if (!is_alike) fail_alike("event", e, x.name, y.name + " or reads other values");
  }
  for (std::size_t v = 0; v < a.values.size(); ++v)
    if (a.values[v].holds != b.values[v].holds || a.values[v].handles != b.values[v].handles)
      fail_alike("value", v, "held at some times", "held at others");
}

}  // namespace

Result<Plan, PlanFailure> least_memory_plan(const StepGraph& graph, double max_slowdown,
                                            const PlanOptions& options) {
  check_slowdown(max_slowdown);
  const Bytes unplanned = simulate(graph).peak_bytes;
  Result<Plan, PlanFailure> best = plan(graph, unplanned, options);
  if (!best) return best;
  TIDEMARK_CHECK_VALUE(is_fast_enough(*best, max_slowdown), "what is to be computed again takes ",
                       best->recompute_ns, " ns of a step of ", best->step_ns,
                       " ns, which the slowdown of ", max_slowdown,
                       " does not allow; allow more, or recompute less");
  Bytes low = memory_floor(graph).bytes;
  Bytes high = best->peak_bytes;
  for (int round = 0; round < 2 && low < high; ++round) {
    std::vector<Bytes> budgets;
    for (int i = 1; i < kPoints; ++i) budgets.push_back(low + (high - low) / kPoints * i);
    const Frontier curve = frontier(graph, budgets, options);
    Bytes too_little = low;
    for (Bytes budget : curve.infeasible) too_little = std::max(too_little, budget);
    for (const Plan& plan : curve.plans) {
      if (!is_fast_enough(plan, max_slowdown))
        too_little = std::max(too_little, plan.budget_bytes);
      else if (plan.peak_bytes < best->peak_bytes)
        best = plan;
    }
    low = std::min(too_little, best->peak_bytes);
    high = best->peak_bytes;
  }
  best->budget_bytes = best->peak_bytes;
  return best;
}

StepGraph step_at_batch(const StepAtBatch& a, const StepAtBatch& b, std::int64_t batch) {
  TIDEMARK_CHECK_VALUE(a.batch > 0 && b.batch > 0 && a.batch != b.batch && batch > 0, "batches ",
                       a.batch, ", ", b.batch, " and ", batch,
                       " must be positive, and the first two must differ");
  check_alike(a.graph, b.graph);
  const Line line(a.batch, b.batch, batch);
  StepGraph graph = a.graph;
  for (std::size_t e = 0; e < graph.events.size(); ++e) {
    Event& event = graph.events[e];
    event.cost_ns = line.at(event.cost_ns, b.graph.events[e].cost_ns);
    event.workspace_bytes = line.at(event.workspace_bytes, b.graph.events[e].workspace_bytes);
    event.shapes.clear();
  }
  for (std::size_t v = 0; v < graph.values.size(); ++v)
    graph.values[v].bytes = line.at(graph.values[v].bytes, b.graph.values[v].bytes);
  Entry& entry = graph.entry;
  for (std::size_t c = 0; c < entry.bytes_by_category.size(); ++c)
    entry.bytes_by_category[c] =
        line.at(entry.bytes_by_category[c], b.graph.entry.bytes_by_category[c]);
  entry.other_bytes = line.at(entry.other_bytes, b.graph.entry.other_bytes);
  graph.is_estimate = true;
  return graph;
}

MaxBatch max_batch(const StepAtBatch& a, const StepAtBatch& b, Bytes budget, double max_slowdown,
                   const PlanOptions& options) {
  check_slowdown(max_slowdown);
  // The largest batch for which `fits` is true, taking for granted that less always fits too.
  const auto largest = [](auto fits) {
    std::int64_t most = 0;
    std::int64_t step = 1;
    while (step <= kMostBatch && fits(most + step)) {
      most += step;
      step *= 2;
    }
    for (; step > 0; step /= 2)
      if (fits(most + step)) most += step;
    return most;
  };
  MaxBatch found;
  found.unplanned_batch = largest([&](std::int64_t batch) {
    return simulate(step_at_batch(a, b, batch)).peak_bytes <= budget;
  });
  found.batch = largest([&](std::int64_t batch) {
    const StepGraph graph = step_at_batch(a, b, batch);
    if (memory_floor(graph).bytes > budget) return false;
    Result<Plan, PlanFailure> answer = plan(graph, budget, options);
    if (!answer || !is_fast_enough(*answer, max_slowdown)) return false;
    found.plan = *std::move(answer);
    return true;
  });
  return found;
}

}  // namespace tidemark
