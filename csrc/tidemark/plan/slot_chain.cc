#include "tidemark/plan/slot_chain.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace tidemark {
namespace {

// Sums of two are still no overflow.
constexpr Nanoseconds kEndless = std::numeric_limits<Nanoseconds>::max() / 4;

// T of the header. Item 0 is nothing at all, which takes no slot and is there for ever.
class Table {
 public:
  explicit Table(const SlotChain& chain)
      : chain_(chain),
        size_(static_cast<int>(chain.items.size()) + 1),
        costs_(static_cast<std::size_t>(size_ * size_) * (chain.slots + 1), kEndless) {
    for (int m = 0; m <= chain.slots; ++m)
      for (int i = size_ - 1; i >= 0; --i) fill(i, m);
  }

  Nanoseconds all() const { return at(0, size_ - 1, chain_.slots); }

 private:
  const SlotChain::Item& item(int i) const { return chain_.items[i - 1]; }
  std::size_t index(int i, int j, int m) const {
    return (static_cast<std::size_t>(m) * size_ + j) * size_ + i;
  }
  Nanoseconds at(int i, int j, int m) const { return costs_[index(i, j, m)]; }

  void fill(int i, int m) {
    const int taken = chain_.slots - m;
    const bool is_served = i == 0 || item(i).demand_slots >= taken;
    costs_[index(i, i, m)] = is_served ? 0 : kEndless;
    if (m == 0) return;
    for (int j = i + 1; j < size_; ++j) costs_[index(i, j, m)] = cheapest(i, j, m);
  }

  Nanoseconds cheapest(int i, int j, int m) const {
    const int taken = chain_.slots - m;
    Nanoseconds best = kEndless;
    Nanoseconds run = 0;
    for (int k = i + 1; k <= j; ++k) {
      const bool is_first = k == i + 1;
      // Before its first op the slot of what it reads is taken already.
      const bool fits =
          item(k).first_slots >= taken + (is_first ? 1 : 2) && item(k).other_slots >= taken + 2;
      if (!fits) break;
      run += item(k).cost_ns;
      best = std::min(best, run + at(k, j, m - 1) + at(i, k - 1, m));
    }
    return best;
  }

  const SlotChain& chain_;
  int size_;
  std::vector<Nanoseconds> costs_;
};

}  // namespace

Nanoseconds least_recompute_ns(const SlotChain& chain) {
  if (chain.items.empty()) return 0;
  const Nanoseconds all = Table(chain).all();
  if (all >= kEndless) return std::numeric_limits<Nanoseconds>::max();
  Nanoseconds once = 0;
  for (const SlotChain::Item& item : chain.items) once += item.cost_ns;
  return all - once;
}

}  // namespace tidemark
