// Best fit in order of allocation: what a caching allocator does that splits and merges its blocks.
//
// One sweep over time, O(n log n): fit for a million buffers, and the layout that no packing may be
// worse than. If all sizes are equal, or if nothing overlaps, its height is the lower bound.
// Internal to this folder.
#pragma once

#include "tidemark/arena/partition.h"

namespace tidemark::arena {

// Returns where the items come to lie, placed in order of their index, which is that of their first
// section. REQUIRES: partition.is_plain.
Placement sweep_fit(const Partition& partition);

}  // namespace tidemark::arena
