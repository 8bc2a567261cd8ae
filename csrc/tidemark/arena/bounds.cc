#include "tidemark/arena/bounds.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace tidemark::arena {
namespace {

// Adds `amount(item)` of every item to its sections.
template <typename Amount>
std::vector<Bytes> accumulate(const Partition& partition, Amount amount) {
  std::vector<Bytes> sums(static_cast<std::size_t>(partition.num_sections) + 1, 0);
  for (const Item& item : partition.items) {
    sums[item.begin] += amount(item);
    sums[item.end] -= amount(item);
  }
  std::partial_sum(sums.begin(), sums.end(), sums.begin());
  sums.pop_back();
  return sums;
}

// The height at which `bytes` above the base fit between the obstacles of one section.
// REQUIRES: obstacles are sorted by low.
Bytes fill(const Partition& partition, std::int32_t section, Bytes bytes) {
  Bytes address = partition.base;
  for (const Obstacle& obstacle : partition.obstacles) {
    if (section < obstacle.begin || obstacle.end <= section) continue;
    if (obstacle.low - address >= bytes) break;
    bytes -= std::max<Bytes>(obstacle.low - address, 0);
    address = std::max(address, obstacle.high);
  }
  return bytes == 0 ? partition.base : address + bytes;
}

// With offsets that are multiples of `unit`, every item of a section but its topmost takes up whole
// units. Returns per section what is wasted below the topmost item at least.
std::vector<Bytes> padding(const Partition& partition) {
  Bytes unit = 0;
  for (const Item& item : partition.items) unit = std::gcd(unit, item.alignment);
  if (unit <= 1 || !partition.obstacles.empty()) return {};
  const auto waste = [&](const Item& item) { return (unit - item.size % unit) % unit; };
  std::vector<Bytes> sums = accumulate(partition, waste);
  for (Bytes& sum : sums) sum = std::max<Bytes>(sum - (unit - 1), 0);
  return sums;
}

std::vector<Bytes> section_bounds(const Partition& partition) {
  std::vector<Bytes> bounds = padding(partition);
  bounds.resize(partition.load.size(), 0);
  for (std::int32_t s = 0; s < partition.num_sections; ++s) {
    bounds[s] = fill(partition, s, partition.load[s] + bounds[s]);
  }
  return bounds;
}

}  // namespace

std::vector<Bytes> section_loads(const Partition& partition) {
  return accumulate(partition, [](const Item& item) { return item.size; });
}

Bytes lower_bound(const Partition& partition) {
  Bytes bound = partition.fixed_height;
  for (const Bytes height : section_bounds(partition)) bound = std::max(bound, height);
  return bound;
}

std::int32_t tightest_section(const Partition& partition) {
  const std::vector<Bytes> bounds = section_bounds(partition);
  return static_cast<std::int32_t>(std::max_element(bounds.begin(), bounds.end()) - bounds.begin());
}

std::vector<Bytes> contention(const Partition& partition) {
  // Sparse table of maxima over 2^k sections.
  std::vector<std::vector<Bytes>> maxima = {partition.load};
  for (std::size_t width = 2; width <= partition.load.size(); width *= 2) {
    const std::vector<Bytes>& half = maxima.back();
    std::vector<Bytes> next(partition.load.size() - width + 1);
    for (std::size_t s = 0; s < next.size(); ++s) next[s] = std::max(half[s], half[s + width / 2]);
    maxima.push_back(std::move(next));
  }
  std::vector<Bytes> result;
  result.reserve(partition.items.size());
  for (const Item& item : partition.items) {
    const auto length = static_cast<std::uint32_t>(item.end - item.begin);
    const int level = std::bit_width(length) - 1;
    const std::vector<Bytes>& row = maxima[level];
    result.push_back(std::max(row[item.begin], row[item.end - (1 << level)]));
  }
  return result;
}

}  // namespace tidemark::arena
