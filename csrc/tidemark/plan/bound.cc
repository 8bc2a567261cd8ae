#include "tidemark/plan/bound.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tidemark/plan/floor.h"

namespace tidemark {
namespace {

struct Candidate {
  double price;  // ns per byte
  Bytes bytes;
  EventIndex begin;  // absent before events in (begin, end], as simulate counts a kept gap
  EventIndex end;
};

// Gaps by rising price. One replay brings back all outputs of its op, so each bears a share.
std::vector<Candidate> candidates_by_price(const Problem& problem) {
  const StepGraph& graph = problem.graph();
  std::vector<Candidate> candidates;
  for (const Gap& gap : problem.gaps()) {
    const Value& value = graph.values[gap.value];
    if (value.bytes == 0) continue;
    Bytes siblings = 0;
    for (ValueIndex v : problem.restores(value.producer)) siblings += graph.values[v].bytes;
    const double cost = static_cast<double>(graph.events[value.producer].cost_ns);
    candidates.push_back(
        {cost / static_cast<double>(siblings), value.bytes, gap.time.begin, gap.time.end});
  }
  std::ranges::sort(candidates, {}, &Candidate::price);
  return candidates;
}

// Returns the cheapest way to be rid of `excess` bytes at `event`, infinity if there is none.
double cheapest_fill(const std::vector<Candidate>& candidates, EventIndex event, Bytes excess) {
  double cost = 0;
  for (const Candidate& candidate : candidates) {
    if (event < candidate.begin || event > candidate.end) continue;
    const Bytes taken = std::min(excess, candidate.bytes);
    cost += candidate.price * static_cast<double>(taken);
    excess -= taken;
    if (excess <= 0) return cost;
  }
  return std::numeric_limits<double>::infinity();
}

// Bytes that a plan can be rid of for nothing: handles that outlive the program's last hold.
std::vector<Bytes> free_bytes(const Problem& problem) {
  const StepGraph& graph = problem.graph();
  std::vector<Bytes> change(graph.num_events() + 2, 0);
  for (ValueIndex v = 0; v < graph.num_values(); ++v) {
    const Value& value = graph.values[v];
    if (value.producer == kNone || value.overwritten_at != kNone || value.holds.empty()) continue;
    const EventIndex begin = problem.end_of(v, value.holds.back());
    const EventIndex end = std::min(problem.natural_end(v), graph.num_events());
    if (begin >= end) continue;
    change[begin] += value.bytes;
    change[end] -= value.bytes;
  }
  for (std::size_t e = 1; e < change.size(); ++e) change[e] += change[e - 1];
  return change;
}

}  // namespace

Nanoseconds lower_bound(const Problem& problem, Bytes budget) {
  constexpr Nanoseconds kImpossible = std::numeric_limits<Nanoseconds>::max();
  if (problem.unplanned().peak_bytes <= budget) return 0;
  if (memory_floor(problem).bytes > budget) return kImpossible;
  const std::vector<Candidate> candidates = candidates_by_price(problem);
  const std::vector<Bytes> free = free_bytes(problem);
  double bound = 0;
  for (EventIndex e = 0; e < problem.graph().num_events(); ++e) {
    const Bytes excess = problem.unplanned().curve[e].peak - free[e] - budget;
    if (excess > 0) bound = std::max(bound, cheapest_fill(candidates, e, excess));
  }
  if (std::isinf(bound)) return kImpossible;
  // Rounding in the sums must not lift the bound above a plan that meets it exactly.
  return static_cast<Nanoseconds>(bound * (1 - 1e-9));
}

Nanoseconds lower_bound(const StepGraph& graph, Bytes budget) {
  return lower_bound(Problem(graph), budget);
}

}  // namespace tidemark
