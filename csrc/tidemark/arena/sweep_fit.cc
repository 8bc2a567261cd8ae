#include "tidemark/arena/sweep_fit.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <queue>
#include <set>
#include <utility>

namespace tidemark::arena {
namespace {

// The free addresses below the highest taken one, by address and by size.
class FreeSpace {
 public:
  explicit FreeSpace(Bytes base) : top_(base) {}

  // Takes the smallest gap that is large enough, the lowest of those, else what is above all.
  Bytes take(Bytes size) {
    const auto found = by_size_.lower_bound({size, 0});
    if (found == by_size_.end()) return take_top(size);
    const auto [room, low] = *found;
    remove(low, room);
    if (room > size) add(low + size, room - size);
    return low;
  }

  void give_back(Bytes low, Bytes size) {
    const auto above = by_low_.lower_bound(low);
    if (above != by_low_.begin()) {
      const auto [below_low, below_size] = *std::prev(above);
      if (below_low + below_size == low) {
        remove(below_low, below_size);
        low = below_low;
        size += below_size;
      }
    }
    const auto after = by_low_.find(low + size);
    if (after != by_low_.end()) {
      const Bytes room = after->second;
      remove(low + size, room);
      size += room;
    }
    add(low, size);
  }

 private:
  // The gap that ends at the top grows with it.
  Bytes take_top(Bytes size) {
    if (!by_low_.empty()) {
      const auto [low, room] = *std::prev(by_low_.end());
      if (low + room == top_) {
        remove(low, room);
        top_ = low + size;
        return low;
      }
    }
    top_ += size;
    return top_ - size;
  }

  void add(Bytes low, Bytes size) {
    by_low_.emplace(low, size);
    by_size_.emplace(size, low);
  }

  void remove(Bytes low, Bytes size) {
    by_low_.erase(low);
    by_size_.erase({size, low});
  }

  std::map<Bytes, Bytes> by_low_;
  std::set<std::pair<Bytes, Bytes>> by_size_;
  Bytes top_;
};

}  // namespace

Placement sweep_fit(const Partition& partition) {
  Placement placement{.offsets = std::vector<Bytes>(partition.items.size(), 0),
                      .height = partition.fixed_height};
  using Death = std::pair<std::int32_t, std::int32_t>;  // section, item
  std::priority_queue<Death, std::vector<Death>, std::greater<>> deaths;
  FreeSpace space(partition.base);
  for (std::int32_t i = 0; i < partition.num_items(); ++i) {
    const Item& item = partition.items[i];
    for (; !deaths.empty() && deaths.top().first <= item.begin; deaths.pop()) {
      const std::int32_t dead = deaths.top().second;
      space.give_back(placement.offsets[dead], partition.items[dead].size);
    }
    placement.offsets[i] = space.take(item.size);
    placement.height = std::max(placement.height, placement.offsets[i] + item.size);
    deaths.emplace(item.end, i);
  }
  return placement;
}

}  // namespace tidemark::arena
