#include "tidemark/arena/repair.h"

#include <algorithm>
#include <optional>

#include "tidemark/arena/bounds.h"
#include "tidemark/arena/orders.h"
#include "tidemark/arena/placer.h"

namespace tidemark::arena {
namespace {

constexpr int kTriesPerWindow = 6;
constexpr std::size_t kLargestWindow = 600;

// The items that end above `target`.
std::vector<std::int32_t> items_above(const Partition& partition, const Placement& placement,
                                      Bytes target) {
  std::vector<std::int32_t> above;
  for (std::int32_t i = 0; i < partition.num_items(); ++i) {
    if (placement.offsets[i] + partition.items[i].size > target) above.push_back(i);
  }
  return above;
}

}  // namespace

void Repair::lower(Placement& placement, Bytes goal, std::int64_t work) {
  const std::int64_t end = effort_.spent() + work;
  Bytes step = std::max<Bytes>((placement.height - goal) / 8, 1);
  while (placement.height > goal && effort_.spent() < end && !effort_.is_over()) {
    const Bytes target = std::max(placement.height - step, goal);
    std::vector<std::int32_t> above = items_above(partition_, placement, target);
    effort_.spend(partition_.num_items());
    int num_failures = 0;
    while (!above.empty() && num_failures < 12 && !effort_.is_over()) {
      const auto k = static_cast<std::size_t>(below(static_cast<int>(above.size())));
      num_failures += lower_one(placement, above[k], target) ? 0 : 1;
      std::erase_if(above, [&](std::int32_t i) {
        return placement.offsets[i] + partition_.items[i].size <= target;
      });
    }
    placement.height = height_of(partition_, placement.offsets);
    step = above.empty() ? step + step / 2 : std::max<Bytes>(step / 2, 1);
  }
}

bool Repair::lower_one(Placement& placement, std::int32_t item, Bytes target) {
  const Window window = window_around(placement, item);
  const Partition part = cut_out(placement, window);
  effort_.spend(static_cast<std::int64_t>(part.obstacles.size() + partition_.items.size() / 4));
  const Orders orders(part);
  Placer placer(part, effort_);
  for (int k = 0; k < kTriesPerWindow; ++k) {
    const Fit fit = below(4) == 0 ? Fit::kBest : Fit::kFirst;
    const auto found = placer.place(orders.drawn(random_), fit, target + 1);
    if (!found) continue;
    for (std::size_t i = 0; i < window.items.size(); ++i) {
      placement.offsets[window.items[i]] = found->offsets[i];
    }
    return true;
  }
  return false;
}

// Draws how far to reach in time and how deep in addresses.
Repair::Window Repair::window_around(const Placement& placement, std::int32_t item) {
  const Item& center = partition_.items[item];
  const std::int32_t length = center.end - center.begin;
  const std::int32_t reach[] = {1,
                                length / 2 + 1,
                                2 * length,
                                partition_.num_sections / 200 + 1,
                                partition_.num_sections / 40 + 1,
                                partition_.num_sections / 8 + 1};
  const std::int32_t left = reach[below(6)];
  const std::int32_t right = below(2) == 0 ? left : reach[below(6)];
  Window window{.begin = std::max(center.begin - left, 0),
                .end = std::min(center.end + right, partition_.num_sections)};
  for (std::int32_t i = 0; i < partition_.num_items(); ++i) {
    const Item& other = partition_.items[i];
    if (other.begin >= window.begin && other.end <= window.end) window.items.push_back(i);
  }
  if (window.items.size() > kLargestWindow) {  // the highest ones, and the one it is about
    std::nth_element(window.items.begin(), window.items.begin() + kLargestWindow,
                     window.items.end(), [&](std::int32_t a, std::int32_t b) {
                       return placement.offsets[a] != placement.offsets[b]
                                  ? placement.offsets[a] > placement.offsets[b]
                                  : a < b;
                     });
    window.items.resize(kLargestWindow);
    if (std::find(window.items.begin(), window.items.end(), item) == window.items.end()) {
      window.items.back() = item;
    }
    std::sort(window.items.begin(), window.items.end());
  }
  return window;
}

// The window's items as a partition of their own; all others that live in it are obstacles.
Partition Repair::cut_out(const Placement& placement, const Window& window) const {
  Partition part;
  part.num_sections = window.end - window.begin;
  part.base = partition_.base;
  part.fixed_height = partition_.base;
  part.block_limit = partition_.block_limit;
  part.is_plain = false;
  std::size_t next = 0;
  const auto add_obstacle = [&](std::int32_t begin, std::int32_t end, Bytes low, Bytes high) {
    begin = std::max(begin, window.begin) - window.begin;
    end = std::min(end, window.end) - window.begin;
    if (begin < end) part.obstacles.push_back({begin, end, low, high});
  };
  for (std::int32_t i = 0; i < partition_.num_items(); ++i) {
    Item item = partition_.items[i];
    if (next < window.items.size() && window.items[next] == i) {
      ++next;
      item.begin -= window.begin;
      item.end -= window.begin;
      part.items.push_back(item);
    } else {
      const Bytes low = placement.offsets[i];
      add_obstacle(item.begin, item.end, low, low + item.size);
    }
  }
  for (const Obstacle& o : partition_.obstacles) add_obstacle(o.begin, o.end, o.low, o.high);
  std::sort(part.obstacles.begin(), part.obstacles.end(),
            [](const Obstacle& a, const Obstacle& b) { return a.low < b.low; });
  part.load = section_loads(part);
  return part;
}

}  // namespace tidemark::arena
