// What no layout can beat, and how crowded it is where an item lives.
//
// Internal to this folder. Pure functions.
#pragma once

#include <vector>

#include "tidemark/arena/partition.h"

namespace tidemark::arena {

// Returns per section the sum of its items' sizes.
std::vector<Bytes> section_loads(const Partition& partition);

// Returns the largest of, over all sections: the least height at which the section's items fit
// around its obstacles if they could be cut into bytes, what their common alignment wastes between
// them, and the end of what is fixed. REQUIRES: partition.load is filled in.
Bytes lower_bound(const Partition& partition);

// Returns the section that sets lower_bound. REQUIRES: there is one.
std::int32_t tightest_section(const Partition& partition);

// Returns per item the largest load of the sections that it lives in.
std::vector<Bytes> contention(const Partition& partition);

}  // namespace tidemark::arena
