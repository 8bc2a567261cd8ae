#include "tidemark/plan/bound.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "tidemark/plan/branched_cut.h"
#include "tidemark/plan/floor.h"

namespace tidemark {
namespace {

constexpr Nanoseconds kImpossible = std::numeric_limits<Nanoseconds>::max();
// Events at which a cut is made: this part of the step apart, for all budgets and for each. The
// larger the step the longer a cut takes.
constexpr std::size_t kMostMoments = 4;
constexpr std::size_t kMostMomentsOfBudget = 12;
constexpr std::size_t kEventsTimesMoments = 12000;
constexpr EventIndex kApart = 64;
// Minimum cuts of a branched bound times the values and ops that they choose among.
constexpr std::int64_t kBranchingWork = 400'000;

}  // namespace

LowerBound::LowerBound(const Problem& problem)
    : problem_(problem), floor_bytes_(memory_floor(problem).bytes), path_bound_(problem) {
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
  const std::vector<Reading> held = pinned_curve(problem_);
  std::vector<double> heights;
  std::vector<EventIndex> events;
  for (EventIndex e = 0; e < problem_.graph().num_events(); ++e) {
    held_by_program_.push_back(held[e].peak);
    heights.push_back(static_cast<double>(problem_.unplanned().curve[e].peak));
    events.push_back(e);
  }
  moments_ = well_apart(std::move(events), heights, kMostMoments);
}

// Returns the highest of the events that a cut can look at.
std::vector<EventIndex> LowerBound::well_apart(std::vector<EventIndex> events,
                                               const std::vector<double>& heights,
                                               std::size_t most) const {
  const StepGraph& graph = problem_.graph();
  std::erase_if(events, [&](EventIndex e) { return graph.events[e].kind == EventKind::kUnpack; });
  std::ranges::stable_sort(events, std::greater{}, [&](EventIndex e) { return heights[e]; });
  std::vector<EventIndex> chosen;
  for (EventIndex e : events) {
    if (chosen.size() == most) break;
    const auto is_near = [&](EventIndex other) {
      return std::abs(e - other) < graph.num_events() / kApart;
    };
    if (std::ranges::none_of(chosen, is_near)) chosen.push_back(e);
  }
  return chosen;
}

Nanoseconds LowerBound::bound_of_cut(EventIndex event, Bytes budget) {
  const auto place = cuts_.try_emplace(event, problem_, event).first;
  Nanoseconds bound = 0;
  place->second.within(budget - held_by_program_[event], bound);
  return bound;
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

Nanoseconds LowerBound::at(Bytes budget) { return look_up(budget).bound; }

Nanoseconds LowerBound::branched(Bytes budget, Nanoseconds enough) {
  const auto [bound, event] = look_up(budget);
  if (event == kNone || bound >= enough) return bound;
  const KeepCut& cut = cuts_.at(event);
  const std::int64_t most_cuts = kBranchingWork / static_cast<std::int64_t>(cut.size() + 1);
  const Bytes room = budget - held_by_program_[event];
  return std::max(bound, branched_bound(problem_, cut, room, enough, most_cuts));
}

const LowerBound::Found& LowerBound::look_up(Bytes budget) {
  const auto [place, is_new] = found_.try_emplace(budget);
  if (is_new) place->second = find(budget);
  return place->second;
}

LowerBound::Found LowerBound::find(Bytes budget) {
  if (problem_.unplanned().peak_bytes <= budget) return {};
  if (floor_bytes_ > budget) return {.bound = kImpossible};
  const EventIndex n = problem_.graph().num_events();
  std::vector<double> fills(n, 0);
  std::vector<EventIndex> over;
  for (EventIndex e = 0; e < n; ++e) {
    const Bytes excess = problem_.unplanned().curve[e].peak - free_[e] - budget;
    if (excess <= 0) continue;
    fills[e] = cheapest_fill(e, excess);
    over.push_back(e);
  }
  const double bound = n == 0 ? 0 : *std::ranges::max_element(fills);
  if (std::isinf(bound)) return {.bound = kImpossible};
  // Rounding in the sums must not lift the bound above a plan that meets it exactly.
  auto best = static_cast<Nanoseconds>(bound * (1 - 1e-9));
  std::vector<EventIndex> moments = moments_;
  const std::size_t most = std::min(kMostMomentsOfBudget, kEventsTimesMoments / (n + 1));
  for (EventIndex event : well_apart(std::move(over), fills, most)) moments.push_back(event);
  EventIndex highest = kNone;
  Nanoseconds highest_cut = -1;
  for (EventIndex event : moments) {
    const Nanoseconds cut = bound_of_cut(event, budget);
    if (cut > highest_cut) highest = event;
    highest_cut = std::max(highest_cut, cut);
  }
  best = std::max(best, highest_cut);
  if (highest != kNone) best = with_paths(highest, budget, best);
  return {.bound = best, .event = highest};
}

// Paths are charged as long as that lifts the bound: what they cost the cut no longer counts.
Nanoseconds LowerBound::with_paths(EventIndex event, Bytes budget, Nanoseconds without) {
  Nanoseconds best = without;
  Nanoseconds charged = 0;
  Nanoseconds cut = bound_of_cut(event, budget);
  std::vector<EventIndex> ops;
  for (const PathBound::Path& path : path_bound_.paths(budget)) {
    if (path.bound_ns == kImpossible) return kImpossible;
    if (charged + path.bound_ns + cut <= best) continue;
    const std::size_t size = ops.size();
    ops.insert(ops.end(), path.ops.begin(), path.ops.end());
    Nanoseconds rest = 0;
    KeepCut(problem_, event, ops).within(budget - held_by_program_[event], rest);
    if (charged + path.bound_ns + rest <= best) {
      ops.resize(size);
      continue;
    }
    charged += path.bound_ns;
    cut = rest;
    best = charged + rest;
  }
  return best;
}

Nanoseconds LowerBound::at_peak(Bytes budget) {
  return moments_.empty() ? 0 : bound_of_cut(moments_.front(), budget);
}

std::vector<ValueIndex> LowerBound::keep_set(Bytes budget, double share, std::size_t moment) {
  if (moment >= moments_.size()) return {};
  const EventIndex event = moments_[moment];
  const auto place = cuts_.try_emplace(event, problem_, event).first;
  const auto room = static_cast<double>(budget - held_by_program_[event]);
  return place->second.mixed(static_cast<Bytes>(room * share));
}

Nanoseconds lower_bound(const Problem& problem, Bytes budget) {
  return LowerBound(problem).at(budget);
}

Nanoseconds lower_bound(const StepGraph& graph, Bytes budget) {
  return lower_bound(Problem(graph), budget);
}

}  // namespace tidemark
