#include "tidemark/plan/bound.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "tidemark/plan/floor.h"

namespace tidemark {
namespace {

constexpr Nanoseconds kImpossible = std::numeric_limits<Nanoseconds>::max();
// Events at which a cut is made: high ones, this part of the step apart.
constexpr std::size_t kMostMoments = 4;
constexpr EventIndex kApart = 64;

}  // namespace

LowerBound::LowerBound(const Problem& problem)
    : problem_(problem), floor_bytes_(memory_floor(problem).bytes) {
  find_candidates();
  find_free_bytes();
  find_moments();
}

// One replay brings back all outputs of its op, so each bears a share.
void LowerBound::find_candidates() {
  const StepGraph& graph = problem_.graph();
  for (const Gap& gap : problem_.restorable_gaps()) {
    const Value& value = graph.values[gap.value];
    if (value.bytes == 0) continue;
    Bytes siblings = 0;
    for (ValueIndex v : problem_.restores(value.producer)) siblings += graph.values[v].bytes;
    const double cost = static_cast<double>(graph.events[value.producer].cost_ns);
    candidates_.push_back(
        {cost / static_cast<double>(siblings), value.bytes, gap.time.begin, gap.time.end});
  }
  std::ranges::sort(candidates_, {}, &Candidate::ns_per_byte);
}

void LowerBound::find_free_bytes() {
  const StepGraph& graph = problem_.graph();
  free_.assign(graph.num_events() + 2, 0);
  for (ValueIndex v = 0; v < graph.num_values(); ++v) {
    const Value& value = graph.values[v];
    if (value.producer == kNone || value.overwritten_at != kNone || value.holds.empty()) continue;
    const EventIndex begin = problem_.end_of(v, value.holds.back());
    const EventIndex end = std::min(problem_.natural_end(v), graph.num_events());
    if (begin >= end) continue;
    free_[begin] += value.bytes;
    free_[end] -= value.bytes;
  }
  std::partial_sum(free_.begin(), free_.end(), free_.begin());
}

void LowerBound::find_moments() {
  const StepGraph& graph = problem_.graph();
  const std::vector<Reading> held = pinned_curve(problem_);
  std::vector<EventIndex> events;
  for (EventIndex e = 0; e < graph.num_events(); ++e)
    if (graph.events[e].kind != EventKind::kUnpack) events.push_back(e);
  std::ranges::stable_sort(events, std::greater{},
                           [&](EventIndex e) { return problem_.unplanned().curve[e].peak; });
  std::vector<EventIndex> chosen;
  for (EventIndex e : events) {
    const auto is_near = [&](EventIndex other) {
      return std::abs(e - other) < graph.num_events() / kApart;
    };
    if (std::ranges::any_of(chosen, is_near)) continue;
    chosen.push_back(e);
    moments_.push_back({held[e].peak, KeepCut(problem_, e)});
    if (moments_.size() == kMostMoments) return;
  }
}

// Returns the cheapest way to be rid of `excess` bytes at `event`, infinity if there is none.
double LowerBound::cheapest_fill(EventIndex event, Bytes excess) const {
  double cost = 0;
  for (const Candidate& candidate : candidates_) {
    if (event < candidate.begin || event > candidate.end) continue;
    const Bytes taken = std::min(excess, candidate.bytes);
    cost += candidate.ns_per_byte * static_cast<double>(taken);
    excess -= taken;
    if (excess <= 0) return cost;
  }
  return std::numeric_limits<double>::infinity();
}

Nanoseconds LowerBound::at(Bytes budget) {
  if (problem_.unplanned().peak_bytes <= budget) return 0;
  if (floor_bytes_ > budget) return kImpossible;
  double bound = 0;
  for (EventIndex e = 0; e < problem_.graph().num_events(); ++e) {
    const Bytes excess = problem_.unplanned().curve[e].peak - free_[e] - budget;
    if (excess > 0) bound = std::max(bound, cheapest_fill(e, excess));
  }
  if (std::isinf(bound)) return kImpossible;
  // Rounding in the sums must not lift the bound above a plan that meets it exactly.
  auto best = static_cast<Nanoseconds>(bound * (1 - 1e-9));
  for (Moment& moment : moments_) {
    Nanoseconds of_cut = 0;
    moment.cut.within(budget - moment.held_by_program, of_cut);
    best = std::max(best, of_cut);
  }
  return best;
}

Nanoseconds LowerBound::at_peak(Bytes budget) {
  Nanoseconds bound = 0;
  if (!moments_.empty())
    moments_.front().cut.within(budget - moments_.front().held_by_program, bound);
  return bound;
}

std::vector<ValueIndex> LowerBound::keep_set(Bytes budget, double share) {
  if (moments_.empty()) return {};
  const auto room = static_cast<double>(budget - moments_.front().held_by_program);
  Nanoseconds bound = 0;
  return moments_.front().cut.within(static_cast<Bytes>(room * share), bound).kept;
}

Nanoseconds lower_bound(const Problem& problem, Bytes budget) {
  return LowerBound(problem).at(budget);
}

Nanoseconds lower_bound(const StepGraph& graph, Bytes budget) {
  return lower_bound(Problem(graph), budget);
}

}  // namespace tidemark
