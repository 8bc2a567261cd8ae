// Misfit: which buffers exclude each other, as small a set as can be shown.
//
// The set is irreducible: with any one of its buffers left out, the rest fits or is not shown not
// to fit. Found by leaving out one buffer after the other, small ones first, and keeping what is
// still proven not to fit (a deletion filter). Internal to this folder. Pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "tidemark/arena/effort.h"
#include "tidemark/arena/instance.h"
#include "tidemark/arena/partition.h"

namespace tidemark::arena {

struct Misfit {
  std::vector<std::int32_t> rows;  // ascending; empty if everything fits
  bool is_irreducible = true;      // false if a proof ran out of effort
};

// Returns the fixed buffers that break a rule by themselves: one, or two that overlap.
Misfit find_fixed_misfit(const Instance& instance);

// Returns the buffers that do not fit together in `capacity`.
// REQUIRES: `part`, a partition of `instance`, was proven not to fit.
Misfit find_misfit(const Instance& instance, const Partition& part, Bytes capacity, Effort& effort);

}  // namespace tidemark::arena
