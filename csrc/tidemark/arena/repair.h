// Repair: takes the items at the top of a large placement out, with others that live around them,
// and places this window again among all that stays where it is.
//
// Large training graphs miss their lower bound near a few sections only; there a window of some
// hundred items can be placed thousands of times a second, where a whole pass takes 20 ms and more.
//
// Internal to this folder. One thread at a time.
#pragma once

#include <random>
#include <vector>

#include "tidemark/arena/effort.h"
#include "tidemark/arena/partition.h"

namespace tidemark::arena {

class Repair {
 public:
  // REQUIRES: the references outlive this.
  Repair(const Partition& partition, Effort& effort) : partition_(partition), effort_(effort) {}

  // Spends about `work` on lowering `placement` towards `goal`. Its height never grows.
  void lower(Placement& placement, Bytes goal, std::int64_t work);

 private:
  // Sections, and the items that are placed again in them.
  struct Window {
    std::int32_t begin = 0;
    std::int32_t end = 0;
    std::vector<std::int32_t> items;
  };

  bool lower_one(Placement& placement, std::int32_t item, Bytes target);
  Window window_around(const Placement& placement, std::int32_t item);
  Partition cut_out(const Placement& placement, const Window& window) const;
  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }

  const Partition& partition_;
  Effort& effort_;
  std::mt19937_64 random_{7};
};

}  // namespace tidemark::arena
