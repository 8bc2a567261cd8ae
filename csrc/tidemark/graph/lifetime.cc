#include "tidemark/graph/lifetime.h"

#include <algorithm>
#include <cstddef>

namespace tidemark {
namespace {

// The end of a version as the program and autograd see it, later versions of its block aside.
EventIndex last_release(const Value& value) {
  EventIndex end = value.holds.empty() ? 0 : value.holds.back().end;
  for (const Handle& handle : value.handles) end = std::max(end, handle.released_at);
  return end;
}

std::vector<int> saved_versions_per_block(const StepGraph& graph) {
  std::vector<int> count(static_cast<std::size_t>(num_blocks(graph)), 0);
  for (const Value& value : graph.values) {
    if (!value.handles.empty()) ++count[static_cast<std::size_t>(value.block)];
  }
  return count;
}

bool is_gap(const Value& value, Interval time) {
  const bool is_overwritten = value.overwritten_at != kNone && value.overwritten_at < time.end;
  return time.begin < time.end && !is_overwritten;
}

}  // namespace

BlockIndex num_blocks(const StepGraph& graph) {
  BlockIndex count = 0;
  for (const Value& value : graph.values) count = std::max(count, value.block + 1);
  return count;
}

std::vector<Interval> value_lifetimes(const StepGraph& graph) {
  std::vector<Interval> lifetimes;
  lifetimes.reserve(graph.values.size());
  for (const Value& value : graph.values) {
    EventIndex end = last_release(value);
    if (value.overwritten_at != kNone) end = std::min(end, value.overwritten_at);
    lifetimes.push_back({std::max(value.producer, 0), end});
  }
  return lifetimes;
}

std::vector<Interval> block_lifetimes(const StepGraph& graph) {
  constexpr EventIndex kUnset = -1;
  std::vector<Interval> lifetimes(static_cast<std::size_t>(num_blocks(graph)), {kUnset, 0});
  for (const Value& value : graph.values) {
    Interval& block = lifetimes[static_cast<std::size_t>(value.block)];
    const EventIndex birth = std::max(value.producer, 0);
    block.begin = block.begin == kUnset ? birth : std::min(block.begin, birth);
    block.end = std::max(block.end, last_release(value));
  }
  for (Interval& block : lifetimes) block.begin = std::max(block.begin, 0);
  return lifetimes;
}

std::vector<Allocation> allocations(const StepGraph& graph) {
  const std::vector<Interval> lifetimes = block_lifetimes(graph);
  std::vector<ValueIndex> first(lifetimes.size(), kNone);
  std::vector<bool> outlives(lifetimes.size(), false);
  for (ValueIndex v = graph.num_values() - 1; v >= 0; --v) {
    const Value& value = graph.values[static_cast<std::size_t>(v)];
    const auto block = static_cast<std::size_t>(value.block);
    if (first[block] == kNone || value.version <= graph.values[first[block]].version) {
      first[block] = v;
    }
    outlives[block] = outlives[block] || value.persistent;
  }
  std::vector<Allocation> made;
  for (std::size_t block = 0; block < first.size(); ++block) {
    if (first[block] == kNone) continue;
    const Value& value = graph.values[first[block]];
    if (value.producer == kNone) continue;
    Interval time = lifetimes[block];
    time.end = outlives[block] ? graph.num_events() : std::max(time.end, time.begin + 1);
    made.push_back(
        {static_cast<BlockIndex>(block), first[block], value.bytes, time, outlives[block]});
  }
  std::stable_sort(made.begin(), made.end(), [](const Allocation& a, const Allocation& b) {
    return a.time.begin < b.time.begin;
  });
  return made;
}

std::vector<EventIndex> forward_ops(const StepGraph& graph) {
  std::vector<EventIndex> ops;
  for (EventIndex e = 0; e < graph.num_events(); ++e) {
    const Event& event = graph.events[static_cast<std::size_t>(e)];
    if (event.kind == EventKind::kOp && event.phase != Phase::kBackward) ops.push_back(e);
  }
  return ops;
}

std::vector<Gap> gaps(const StepGraph& graph) {
  const std::vector<int> num_saved = saved_versions_per_block(graph);
  std::vector<Gap> found;
  for (ValueIndex v = 0; v < graph.num_values(); ++v) {
    const Value& value = graph.values[static_cast<std::size_t>(v)];
    if (value.producer == kNone || value.gc_held) continue;
    if (num_saved[static_cast<std::size_t>(value.block)] > 1) continue;
    // Without a handle of its own a value comes back only as the block of an older version's.
    if (graph.has_runtime_actions && value.handles.empty()) continue;
    for (std::size_t i = 1; i < value.holds.size(); ++i) {
      const Interval time{value.holds[i - 1].end, value.holds[i].begin};
      if (is_gap(value, time)) found.push_back({v, time});
    }
  }
  return found;
}

}  // namespace tidemark
