#include "tidemark/plan/floor.h"

#include <algorithm>

namespace tidemark {
namespace {

// A time in which a block is pinned: counted after every event from `begin` on, and before every
// event from begin + 1 to end - 1. `is_freed_inside`: an op frees it, inside the event before
// `end`.
struct Pinned {
  BlockIndex block;
  EventIndex begin;
  EventIndex end;
  bool is_freed_inside;
};

// The gaps taken for dropped, and whether handles keep what has none past its last hold.
struct Choice {
  const std::vector<Gap>& gaps;
  bool with_tails;
  const std::vector<BlockIndex>& left_out;
};

std::vector<Pinned> pinned_times(const Problem& problem, const Choice& choice) {
  const StepGraph& graph = problem.graph();
  std::vector<char> is_freed(graph.values.size(), 0);
  for (const Event& event : graph.events)
    for (ValueIndex v : event.frees) is_freed[v] = 1;
  std::vector<Pinned> times;
  auto gap = choice.gaps.begin();
  for (ValueIndex v = 0; v < graph.num_values(); ++v) {
    const Value& value = graph.values[v];
    const bool has_gap = gap != choice.gaps.end() && gap->value == v;
    const bool can_go = value.producer != kNone && value.overwritten_at == kNone;
    const bool ends_with_hold = has_gap || (can_go && !choice.with_tails);
    const EventIndex end = ends_with_hold && !value.holds.empty()
                               ? problem.end_of(v, value.holds.back())
                               : problem.natural_end(v);
    EventIndex begin = value.producer;
    for (; gap != choice.gaps.end() && gap->value == v; ++gap) {
      times.push_back({value.block, begin, gap->time.begin, false});
      begin = gap->time.end;
    }
    times.push_back({value.block, begin, end, is_freed[v] != 0});
  }
  return times;
}

std::vector<Reading> curve_of(const Problem& problem, const Choice& choice) {
  const StepGraph& graph = problem.graph();
  const EventIndex n = graph.num_events();
  std::vector<Pinned> times = pinned_times(problem, choice);
  std::ranges::sort(times, {}, [](const Pinned& p) { return std::pair(p.block, p.begin); });
  std::vector<Bytes> bytes_of(times.empty() ? 0 : times.back().block + 1, 0);
  for (const Value& value : graph.values) bytes_of[value.block] = value.bytes;
  for (BlockIndex block : choice.left_out) bytes_of[block] = 0;
  // Differences over time of the sums before and after the events.
  std::vector<Bytes> before(n + 3, 0);
  std::vector<Bytes> after(n + 3, 0);
  for (std::size_t i = 0; i < times.size();) {
    Pinned merged = times[i++];
    for (; i < times.size() && times[i].block == merged.block && times[i].begin < merged.end; ++i)
      if (times[i].end > merged.end) {
        merged.end = times[i].end;
        merged.is_freed_inside = times[i].is_freed_inside;
      }
    const Bytes bytes = bytes_of[merged.block];
    const EventIndex end = std::min(merged.end, n);
    if (end <= merged.begin) continue;
    before[merged.begin + 1] += bytes;
    before[std::max(end, merged.begin + 1)] -= bytes;
    after[std::max(merged.begin, 0)] += bytes;
    after[std::max(merged.is_freed_inside ? end - 1 : end, std::max(merged.begin, 0))] -= bytes;
  }
  std::vector<Reading> curve;
  Bytes b = graph.entry.other_bytes;
  Bytes a = graph.entry.other_bytes;
  for (EventIndex e = 0; e < n; ++e) {
    b += before[e];
    a += after[e];
    curve.push_back({b, std::max(a, b) + graph.events[e].workspace_bytes, a});
  }
  return curve;
}

}  // namespace

std::vector<Reading> pinned_curve(const Problem& problem, const std::vector<BlockIndex>& left_out) {
  return curve_of(problem, {problem.restorable_gaps(), false, left_out});
}

std::vector<Reading> dropped_curve(const Problem& problem) {
  return curve_of(problem, {problem.gaps(), true, {}});
}

Floor memory_floor(const Problem& problem) {
  Floor floor;
  const std::vector<Reading> curve = pinned_curve(problem);
  for (EventIndex e = 0; e < problem.graph().num_events(); ++e)
    if (curve[e].peak > floor.bytes) floor = {.bytes = curve[e].peak, .event = e};
  return floor;
}

Floor memory_floor(const StepGraph& graph) { return memory_floor(Problem(graph)); }

}  // namespace tidemark
