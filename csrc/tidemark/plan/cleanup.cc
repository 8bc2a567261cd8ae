#include "tidemark/plan/cleanup.h"

#include <algorithm>
#include <set>
#include <stdexcept>

namespace tidemark {
namespace {

// Replays to leave out together.
struct Move {
  EventIndex event = 0;
  std::vector<EventIndex> ops;
  Nanoseconds cost_ns = 0;
};

// Whole lists first (a segment that need not be computed again), then single replays.
std::vector<Move> moves_of(const Problem& problem, const Schedule& schedule) {
  std::vector<Move> lists;
  std::vector<Move> singles;
  for (const ReplayList& list : schedule) {
    Move all{.event = list.event, .ops = list.ops};
    for (EventIndex op : list.ops) {
      const Nanoseconds cost = problem.graph().events[op].cost_ns;
      all.cost_ns += cost;
      if (list.ops.size() > 1) singles.push_back({list.event, {op}, cost});
    }
    lists.push_back(std::move(all));
  }
  std::ranges::stable_sort(lists, std::greater{}, &Move::cost_ns);
  std::ranges::stable_sort(singles, std::greater{}, &Move::cost_ns);
  lists.insert(lists.end(), singles.begin(), singles.end());
  return lists;
}

// The last event before `event` at which `v`, made by `op`, lay in memory on somebody's account.
EventIndex last_there(const Problem& problem, const Schedule& schedule, ValueIndex v,
                      EventIndex event) {
  const Value& value = problem.graph().values[v];
  EventIndex last = value.producer;
  for (const Interval& hold : value.holds)
    if (hold.begin < event) last = std::max(last, hold.end);
  for (const ReplayList& list : schedule) {
    if (list.event >= event) break;
    if (list.event > last && std::ranges::binary_search(list.ops, value.producer))
      last = list.event;
  }
  return last;
}

// Whether the room for what the move's replays serve is there, going by the curve as it is. What
// the replays read may go then, so it is counted as room. Cheap, and seldom wrong.
bool may_fit(const Problem& problem, const Candidate& candidate, const Move& move, Bytes budget) {
  const StepGraph& graph = problem.graph();
  Bytes room = budget;
  for (EventIndex op : move.ops)
    for (ValueIndex v : problem.reads(op))
      if (graph.values[v].producer != kNone) room += graph.values[v].bytes;
  for (EventIndex op : move.ops)
    for (ValueIndex v : problem.restores(op)) {
      const Value& value = graph.values[v];
      const auto is_served = [&](const Interval& hold) { return hold.begin == move.event; };
      if (std::ranges::none_of(value.holds, is_served)) continue;
      const auto& curve = candidate.simulation.curve;
      const EventIndex from = last_there(problem, candidate.schedule, v, move.event);
      for (EventIndex e = from; e < move.event; ++e)
        if (curve[e].peak + value.bytes > room) return false;
    }
  return true;
}

// Returns the schedule without the move's replays, or nothing if they are gone already or if
// something they restore could not stay instead.
std::optional<Schedule> without(const Problem& problem, const Schedule& schedule,
                                const Move& move) {
  Schedule changed = schedule;
  const auto list = std::ranges::lower_bound(changed, move.event, {}, &ReplayList::event);
  if (list == changed.end() || list->event != move.event) return std::nullopt;
  const auto removed = std::erase_if(
      list->ops, [&](EventIndex op) { return std::ranges::binary_search(move.ops, op); });
  if (removed == 0) return std::nullopt;
  for (EventIndex op : move.ops)
    for (ValueIndex v : problem.restores(op))
      if (!problem.can_stay_until(v, move.event)) return std::nullopt;
  prune(problem, changed);
  return changed;
}

}  // namespace

std::optional<Candidate> judge(const Problem& problem, Schedule schedule) {
  Candidate candidate;
  candidate.actions = emit(problem, schedule);
  candidate.schedule = std::move(schedule);
  try {
    candidate.simulation = simulate(problem.graph(), candidate.actions);
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
  return candidate;
}

bool is_better(const Candidate& a, const Candidate& b) {
  const Simulation& left = a.simulation;
  const Simulation& right = b.simulation;
  if (left.recompute_ns != right.recompute_ns) return left.recompute_ns < right.recompute_ns;
  if (left.num_replays != right.num_replays) return left.num_replays < right.num_replays;
  return left.peak_bytes < right.peak_bytes;
}

Candidate cleanup(const Problem& problem, Candidate candidate, Bytes budget, int max_trials) {
  for (const Move& move : moves_of(problem, candidate.schedule)) {
    if (max_trials == 0) break;
    if (!may_fit(problem, candidate, move, budget)) continue;
    auto schedule = without(problem, candidate.schedule, move);
    if (!schedule) continue;
    --max_trials;
    auto changed = judge(problem, std::move(*schedule));
    if (!changed || changed->simulation.peak_bytes > budget) continue;
    if (is_better(*changed, candidate)) candidate = std::move(*changed);
  }
  return candidate;
}

}  // namespace tidemark
