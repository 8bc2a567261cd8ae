#include "tidemark/arena/search_tables.h"

#include <algorithm>
#include <cstddef>

namespace tidemark::arena {

SearchTables::SearchTables(const Partition& partition, const Order& order, Bytes capacity)
    : partition_(partition), order_(order), capacity_(capacity) {
  items_.reserve(order.size());
  for (const std::int32_t i : order) items_.push_back(partition.items[i]);
  is_placed_.assign(items_.size(), 0);
  is_possible_ = partition.fixed_height <= capacity;
  set_up_neighbours();
  set_up_obstacles();
  set_up_sections();
  for (std::size_t i = 0; i < items_.size(); ++i) {
    lowest_.push_back(settle(static_cast<std::int32_t>(i), partition.base));
    is_possible_ = is_possible_ && lowest_[i] + items_[i].size <= capacity;
  }
}

void SearchTables::set_up_neighbours() {
  // Items of one section are neighbours; they are found from the section where the later one
  // begins.
  const std::size_t count = items_.size();
  std::vector<std::int32_t> by_begin(count);
  for (std::size_t i = 0; i < count; ++i) by_begin[i] = static_cast<std::int32_t>(i);
  std::sort(by_begin.begin(), by_begin.end(), [this](std::int32_t a, std::int32_t b) {
    return std::pair(items_[a].begin, a) < std::pair(items_[b].begin, b);
  });
  std::vector<std::vector<std::int32_t>> lists(count);
  std::vector<std::int32_t> live;
  for (const std::int32_t i : by_begin) {
    std::erase_if(live, [&](std::int32_t j) { return items_[j].end <= items_[i].begin; });
    for (const std::int32_t j : live) {
      lists[i].push_back(j);
      lists[j].push_back(i);
    }
    live.push_back(i);
  }
  neighbour_starts_.push_back(0);
  for (const std::vector<std::int32_t>& list : lists) {
    neighbours_.insert(neighbours_.end(), list.begin(), list.end());
    neighbour_starts_.push_back(static_cast<std::int32_t>(neighbours_.size()));
  }
}

void SearchTables::set_up_obstacles() {
  obstacle_starts_.push_back(0);
  for (const Item& item : items_) {
    for (const Obstacle& o : partition_.obstacles) {
      if (item.overlaps(o.begin, o.end)) obstacles_.emplace_back(o.low, o.high);
    }
    obstacle_starts_.push_back(static_cast<std::int32_t>(obstacles_.size()));
  }
}

void SearchTables::set_up_sections() {
  const auto num_sections = static_cast<std::size_t>(partition_.num_sections);
  floor_.assign(num_sections, partition_.base);
  unplaced_bytes_ = partition_.load;
  crossing_.assign(num_sections + 1, 0);
  touched_.assign(num_sections + 1, 0);
  std::vector<std::vector<std::int32_t>> members(num_sections);
  for (std::size_t i = 0; i < items_.size(); ++i) {
    for (std::int32_t s = items_[i].begin; s < items_[i].end; ++s) {
      members[s].push_back(static_cast<std::int32_t>(i));
      if (s > items_[i].begin) ++crossing_[s];
    }
  }
  member_starts_.push_back(0);
  for (const std::vector<std::int32_t>& list : members) {
    members_.insert(members_.end(), list.begin(), list.end());
    member_starts_.push_back(static_cast<std::int32_t>(members_.size()));
  }
  if (!partition_.obstacles.empty()) taken_.resize(num_sections);
  for (const Obstacle& o : partition_.obstacles) {  // sorted by low
    for (std::int32_t s = o.begin; s < o.end; ++s) {
      const Bytes low = taken_[s].empty() ? o.low : std::max(o.low, taken_[s].back().second);
      const Bytes high = std::min(o.high, capacity_);
      if (low < high) taken_[s].emplace_back(low, high);
    }
  }
  for (std::size_t s = 0; s < num_sections; ++s) {
    is_possible_ = is_possible_ && has_room(static_cast<std::int32_t>(s), floor_[s]);
  }
}

// The lowest address at or above `address` where `item` may lie as far as obstacles go.
Bytes SearchTables::settle(std::int32_t item, Bytes address) const {
  if (partition_.is_plain) return address;
  Bytes start = partition_.lowest_start(items_[item], address);
  for (std::int32_t k = obstacle_starts_[item]; k < obstacle_starts_[item + 1]; ++k) {
    const auto [low, high] = obstacles_[k];
    if (high <= start) continue;
    if (low - start >= items_[item].size) break;
    start = partition_.lowest_start(items_[item], high);
  }
  return start;
}

// Whether the section's unplaced items fit between `floor` and the capacity, obstacles left out.
bool SearchTables::has_room(std::int32_t section, Bytes floor) const {
  Bytes room = capacity_ - floor - unplaced_bytes_[section];
  if (!taken_.empty()) {
    for (const auto& [low, high] : taken_[section]) {
      if (high > floor) room -= high - std::max(low, floor);
    }
  }
  return room >= 0;
}

// The address that the section's unplaced items lie above if they all begin at their lowest or
// above `least`: raised so that has_room also sees the gaps between them.
Bytes SearchTables::unplaced_floor(std::int32_t section, Bytes least, std::int64_t& work) {
  scratch_.clear();
  for (std::int32_t k = member_starts_[section]; k < member_starts_[section + 1]; ++k) {
    const std::int32_t item = members_[k];
    if (!is_placed_[item]) scratch_.emplace_back(std::max(lowest_[item], least), items_[item].size);
  }
  work += member_starts_[section + 1] - member_starts_[section];
  // One-machine bound: for every address, what begins there or above must fit above it.
  std::sort(scratch_.begin(), scratch_.end());
  Bytes end = 0;
  for (const auto& [low, size] : scratch_) end = std::max(end, low) + size;
  if (end > capacity_) return capacity_ + 1;
  // Gaps around obstacles are has_room's to count, and once only.
  if (!taken_.empty()) return scratch_.empty() ? least : scratch_.front().first;
  return end - unplaced_bytes_[section];
}

bool SearchTables::raise_neighbours(std::int32_t item, Bytes address, std::int64_t& work) {
  for (std::int32_t k = neighbour_starts_[item]; k < neighbour_starts_[item + 1]; ++k) {
    const std::int32_t other = neighbours_[k];
    if (is_placed_[other] || lowest_[other] >= address) continue;
    lowest_log_.emplace_back(other, lowest_[other]);
    lowest_[other] = settle(other, address);
    if (lowest_[other] + items_[other].size > capacity_) return false;
    ++touched_[items_[other].begin];
    --touched_[items_[other].end];
  }
  work += neighbour_starts_[item + 1] - neighbour_starts_[item];
  return true;
}

bool SearchTables::place(std::int32_t item, std::int32_t begin, std::int32_t end,
                         std::int64_t& work) {
  const Item& placed = items_[item];
  const Bytes low = lowest_[item];
  const Bytes high = low + placed.size;
  is_placed_[item] = 1;
  placed_.push_back(item);
  for (std::int32_t s = placed.begin; s < placed.end; ++s) {
    unplaced_bytes_[s] -= placed.size;
    floor_log_.emplace_back(s, floor_[s]);
    floor_[s] = high;
    if (s > placed.begin) --crossing_[s];
  }
  if (high > capacity_) return false;
  std::fill(touched_.begin() + begin, touched_.begin() + end + 1, 0);
  if (!raise_neighbours(item, high, work)) return false;
  ++touched_[placed.begin];
  --touched_[placed.end];
  std::int32_t depth = 0;
  for (std::int32_t s = begin; s < end; ++s) {
    depth += touched_[s];
    if (unplaced_bytes_[s] == 0) continue;
    if (!has_room(s, std::max(floor_[s], low))) return false;
    if (depth == 0) continue;
    const Bytes floor = unplaced_floor(s, std::max(floor_[s], low), work);
    if (floor > floor_[s]) {
      floor_log_.emplace_back(s, floor_[s]);
      floor_[s] = floor;
      if (!has_room(s, floor)) return false;
    }
  }
  work += (end - begin) / 2;
  return true;
}

void SearchTables::undo(const Mark& mark) {
  for (; lowest_log_.size() > mark.lowest; lowest_log_.pop_back()) {
    lowest_[lowest_log_.back().first] = lowest_log_.back().second;
  }
  for (; floor_log_.size() > mark.floors; floor_log_.pop_back()) {
    floor_[floor_log_.back().first] = floor_log_.back().second;
  }
  for (; placed_.size() > mark.placed; placed_.pop_back()) {
    const Item& item = items_[placed_.back()];
    is_placed_[placed_.back()] = 0;
    for (std::int32_t s = item.begin; s < item.end; ++s) {
      unplaced_bytes_[s] += item.size;
      if (s > item.begin) ++crossing_[s];
    }
  }
}

void SearchTables::split(std::int32_t begin, std::int32_t end,
                         std::vector<std::pair<std::int32_t, std::int32_t>>& groups) const {
  std::int32_t first = begin;
  for (std::int32_t s = begin + 1; s <= end; ++s) {
    if (s < end && crossing_[s] > 0) continue;
    // Without crossing items either nothing or one whole group lies in [first, s).
    if (unplaced_bytes_[first] > 0) groups.emplace_back(first, s);
    first = s;
  }
  std::sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) {
    return a.second - a.first != b.second - b.first ? a.second - a.first > b.second - b.first
                                                    : a < b;
  });
}

Placement SearchTables::placement() const {
  Placement result{.offsets = std::vector<Bytes>(items_.size(), 0)};
  for (std::size_t i = 0; i < items_.size(); ++i) result.offsets[order_[i]] = lowest_[i];
  result.height = height_of(partition_, result.offsets);
  return result;
}

}  // namespace tidemark::arena
