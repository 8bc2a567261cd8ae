#include "tidemark/plan/path_bound.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "tidemark/graph/lifetime.h"
#include "tidemark/plan/floor.h"

namespace tidemark {
namespace {

// Sizes that slots are tried with, and paths for each.
constexpr std::size_t kMostSizes = 6;
constexpr int kPathsPerSize = 3;
constexpr std::size_t kMostBlocks = 160;  // of a path; longer ones are cut
// Steps of all tables together: some 20 ms.
constexpr double kMostWork = 2e7;
// One more sweep is enough for up to slots^2 / 2 items, and the minimum cut knows of it.
constexpr int kItemsPerSquareOfSlots = 4;

using Demand = PathBound::Demand;

// Returns the most demands with rising events and falling indices: those that a schedule cannot
// serve in one go.
std::vector<Demand> longest_reversal(std::vector<Demand> demands) {
  std::ranges::sort(demands, {}, [](const Demand& d) { return std::pair(d.event, d.index); });
  std::vector<int> before(demands.size());
  std::vector<int> ends;  // of the best chain of each length: the one of the highest index
  for (int d = 0; d < static_cast<int>(demands.size()); ++d) {
    const auto place = std::ranges::lower_bound(ends, demands[d].index, std::greater{},
                                                [&](int end) { return demands[end].index; });
    before[d] = place == ends.begin() ? kNone : *(place - 1);
    if (place == ends.end())
      ends.push_back(d);
    else
      *place = d;
  }
  std::vector<Demand> chain;
  for (int d = ends.empty() ? kNone : ends.back(); d != kNone; d = before[d])
    chain.push_back(demands[d]);
  return chain;  // the last event first
}

}  // namespace

// What the budget leaves to a path.
struct PathBound::Room {
  std::vector<Reading> curve;  // of what the program holds beside it
  Bytes budget = 0;
  Bytes slot_bytes = 0;

  int slots(Bytes bytes) const {
    constexpr Bytes kMost = std::numeric_limits<int>::max() / 2;
    return static_cast<int>(std::clamp<Bytes>((budget - bytes) / slot_bytes, 0, kMost));
  }
};

PathBound::PathBound(const Problem& problem)
    : problem_(problem), graph_(problem.graph()), pinned_(pinned_curve(problem)) {
  find_blocks();
}

void PathBound::find_blocks() {
  const auto n = static_cast<std::size_t>(num_blocks(graph_));
  is_fixed_.assign(n, 0);
  producer_.assign(n, kNone);
  bytes_.assign(n, 0);
  values_.resize(n);
  fixed_bytes_ = graph_.entry.other_bytes;
  for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
    const Value& value = graph_.values[v];
    values_[value.block].push_back(v);
    if (values_[value.block].size() > 1) continue;
    bytes_[value.block] = value.bytes;
    if (value.producer == kNone) {
      is_fixed_[value.block] = static_cast<char>(value.persistent);
      if (value.persistent) fixed_bytes_ += value.bytes;
    } else if (problem_.is_replayable(value.producer) &&
               graph_.events[value.producer].frees.empty()) {
      producer_[value.block] = value.producer;
    }
  }
}

// Those that make up most of what a plan may drop at the peak.
std::vector<Bytes> PathBound::likely_sizes() const {
  const EventIndex peak = problem_.unplanned().peak_event;
  std::map<Bytes, Bytes> sums;
  for (const Gap& gap : problem_.restorable_gaps()) {
    const Bytes bytes = graph_.values[gap.value].bytes;
    if (gap.time.begin <= peak && peak < gap.time.end && bytes > 0) sums[bytes] += bytes;
  }
  std::vector<std::pair<Bytes, Bytes>> by_sum;
  by_sum.reserve(sums.size());
  for (const auto& [bytes, sum] : sums) by_sum.emplace_back(sum, bytes);
  std::ranges::sort(by_sum, std::greater{});
  std::vector<Bytes> sizes;
  for (const auto& [sum, bytes] : by_sum)
    if (sizes.size() < kMostSizes) sizes.push_back(bytes);
  return sizes;
}

// Returns the dearest path up to the peak through blocks of at least so many bytes.
PathBound::Blocks PathBound::longest_path(Bytes slot_bytes,
                                          const std::vector<char>& is_charged) const {
  std::vector<Nanoseconds> cost(producer_.size(), -1);
  std::vector<BlockIndex> before(producer_.size(), kNone);
  BlockIndex last = kNone;
  for (EventIndex e = 0; e <= problem_.unplanned().peak_event; ++e) {
    if (is_charged[e]) continue;
    BlockIndex best = kNone;
    for (ValueIndex v : problem_.reads(e)) {
      const BlockIndex block = graph_.values[v].block;
      if (cost[block] >= 0 && (best == kNone || cost[block] > cost[best])) best = block;
    }
    for (ValueIndex v : problem_.restores(e)) {
      const BlockIndex block = graph_.values[v].block;
      if (producer_[block] != e || bytes_[block] < slot_bytes) continue;
      cost[block] = graph_.events[e].cost_ns + (best == kNone ? 0 : cost[best]);
      before[block] = best;
      if (last == kNone || cost[block] > cost[last]) last = block;
    }
  }
  Blocks path;
  for (BlockIndex block = last; block != kNone; block = before[block]) path.push_back(block);
  std::ranges::reverse(path);
  return path;
}

// Returns where the items of a path must be there after it has run, each once, and the fewest
// slots.
std::vector<Demand> PathBound::demands_of(const Blocks& path, const Room& room) const {
  const EventIndex end = producer_[path.back()] + 1;
  std::vector<Demand> demands;
  for (int i = 0; i < static_cast<int>(path.size()); ++i)
    for (ValueIndex v : values_[path[i]])
      for (const Interval& hold : graph_.values[v].holds) {
        Demand demand{.event = kNone, .index = i, .slots = std::numeric_limits<int>::max()};
        const EventIndex past = std::min(hold.end, graph_.num_events());
        for (EventIndex e = std::max(hold.begin, end); e < past; ++e) {
          const int slots = room.slots(room.curve[e].peak);
          if (slots < demand.slots) demand = {.event = e, .index = i, .slots = slots};
        }
        if (demand.event != kNone) demands.push_back(demand);
      }
  return longest_reversal(std::move(demands));
}

// Whether a replay of the op that makes `to` may write it over `from`.
bool PathBound::is_over(BlockIndex from, BlockIndex to) const {
  const auto& pairs = graph_.events[producer_[to]].replays_in_place;
  return std::ranges::any_of(pairs, [&](const InPlace& pair) {
    return graph_.values[pair.input].block == from && graph_.values[pair.output].block == to;
  });
}

// What a replay of the op needs besides what is fixed and what is on the path.
Bytes PathBound::bytes_beside(EventIndex op, const Blocks& sorted_path) const {
  Blocks counted;
  Bytes bytes = graph_.events[op].workspace_bytes;
  const auto count = [&](ValueIndex v) {
    const BlockIndex block = graph_.values[v].block;
    if (is_fixed_[block] || std::ranges::binary_search(sorted_path, block)) return;
    if (graph_.values[v].producer == kNone || std::ranges::count(counted, block) > 0) return;
    counted.push_back(block);
    bytes += bytes_[block];
  };
  // What may be written over lies where an output does.
  for (const InPlace& pair : graph_.events[op].replays_in_place) {
    const BlockIndex input = graph_.values[pair.input].block;
    const bool is_on_path = std::ranges::binary_search(sorted_path, input);
    counted.push_back(is_on_path ? graph_.values[pair.output].block : input);
  }
  for (ValueIndex v : problem_.reads(op)) count(v);
  for (ValueIndex v : problem_.restores(op)) count(v);
  return bytes;
}

SlotChain PathBound::chain_of(const Blocks& path, Bytes budget, Bytes slot_bytes) const {
  const Room room{pinned_curve(problem_, path), budget, slot_bytes};
  const std::vector<Demand> demands = demands_of(path, room);
  SlotChain chain;
  if (demands.empty()) return chain;
  std::vector<int> demand_slots(path.size(), kNone);
  for (const Demand& demand : demands) demand_slots[demand.index] = demand.slots;
  for (EventIndex e = producer_[path.front()]; e <= demands.front().event; ++e)
    chain.slots = std::max(chain.slots, room.slots(room.curve[e].before));
  Blocks sorted = path;
  std::ranges::sort(sorted);
  SlotChain::Item item;
  bool is_first = true;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const EventIndex op = producer_[path[i]];
    int slots = room.slots(fixed_bytes_ + bytes_beside(op, sorted));
    // It needs one slot, not the two that every op is taken to need.
    if (i > 0 && is_over(path[i - 1], path[i])) ++slots;
    item.cost_ns += graph_.events[op].cost_ns;
    if (is_first)
      item.first_slots = slots;
    else
      item.other_slots = std::min(item.other_slots, slots);
    // What may be written over is never better stored than what is made of it in its place.
    const bool is_spent = i + 1 < path.size() && is_over(path[i], path[i + 1]);
    is_first = demand_slots[i] != kNone && !is_spent;
    if (!is_first) continue;
    item.demand_slots = demand_slots[i];
    chain.items.push_back(std::exchange(item, {}));
  }
  return chain;
}

// Whether so few slots are left that one more sweep along the path may not do.
bool PathBound::is_scarce(const Blocks& path, Bytes budget, Bytes slot_bytes) const {
  Bytes least = pinned_.back().before;
  for (EventIndex e = producer_[path.front()]; e < graph_.num_events(); ++e)
    least = std::min(least, pinned_[e].before);
  const auto slots = static_cast<double>(budget - least) / static_cast<double>(slot_bytes);
  return slots * slots <= kItemsPerSquareOfSlots * static_cast<double>(path.size());
}

std::vector<PathBound::Blocks> PathBound::paths_of(Bytes budget, Bytes slot_bytes) const {
  std::vector<Blocks> paths;
  std::vector<char> is_charged(graph_.events.size(), 0);
  for (int i = 0; i < kPathsPerSize; ++i) {
    const Blocks path = longest_path(slot_bytes, is_charged);
    if (path.size() < 2) break;
    for (BlockIndex block : path) is_charged[producer_[block]] = 1;
    const std::size_t num_pieces = (path.size() + kMostBlocks - 1) / kMostBlocks;
    for (std::size_t piece = 0; piece < num_pieces; ++piece) {
      const auto at = [&](std::size_t p) {
        return path.begin() + static_cast<std::ptrdiff_t>(path.size() * p / num_pieces);
      };
      Blocks part(at(piece), at(piece + 1));
      if (is_scarce(part, budget, slot_bytes)) paths.push_back(std::move(part));
    }
  }
  return paths;
}

std::vector<PathBound::Path> PathBound::paths(Bytes budget) const {
  std::vector<Path> found;
  double work = 0;
  for (Bytes bytes : likely_sizes())
    for (const Blocks& path : paths_of(budget, bytes)) {
      const SlotChain chain = chain_of(path, budget, bytes);
      const auto items = static_cast<double>(chain.items.size());
      const double table = items * items * items * chain.slots / 6;
      if (work + table > kMostWork) continue;
      work += table;
      Path bounded{.ops = {}, .bound_ns = least_recompute_ns(chain)};
      for (BlockIndex block : path) bounded.ops.push_back(producer_[block]);
      if (bounded.bound_ns > 0) found.push_back(std::move(bounded));
    }
  std::ranges::stable_sort(found, std::greater{}, &Path::bound_ns);
  std::vector<char> is_charged(graph_.events.size(), 0);
  std::erase_if(found, [&](const Path& path) {
    if (std::ranges::any_of(path.ops, [&](EventIndex op) { return is_charged[op] != 0; }))
      return true;
    for (EventIndex op : path.ops) is_charged[op] = 1;
    return false;
  });
  return found;
}

}  // namespace tidemark
