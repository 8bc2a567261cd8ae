// Partitions: an Instance made ready for the packers.
//
// Time is cut into partitions where nothing is live, and each partition into sections: stretches of
// time whose live set is contained in no other's. Two items overlap in time exactly if they share a
// section, so packers need no other time axis. What has no choice is taken out: buffers that take
// no room, buffers at fixed offsets (obstacles from then on) and, where that loses nothing, buffers
// that live through the whole partition, which are stacked at its bottom.
//
// Items are sorted by lifetime, size, alignment and name, so that the order of an instance's rows
// means nothing to a packer. Internal to this folder. Plain data.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "tidemark/arena/instance.h"
#include "tidemark/arena/layout.h"

namespace tidemark::arena {

inline constexpr Bytes kNoLimit = std::numeric_limits<Bytes>::max();

// A buffer whose offset is to be chosen. It lives in sections [begin, end).
struct Item {
  std::int32_t begin = 0;
  std::int32_t end = 0;
  Bytes size = 0;  // padded
  Bytes alignment = 1;
  Time width = 0;        // length of its life on the instance's own axis
  std::int32_t row = 0;  // of Instance::buffers

  bool overlaps(std::int32_t other_begin, std::int32_t other_end) const {
    return begin < other_end && other_begin < end;
  }
};

// Addresses [low, high) that are taken in sections [begin, end).
struct Obstacle {
  std::int32_t begin = 0;
  std::int32_t end = 0;
  Bytes low = 0;
  Bytes high = 0;
};

struct Partition {
  std::vector<Item> items;
  std::vector<Obstacle> obstacles;
  std::int32_t num_sections = 0;
  Time begin_time = 0;
  Time end_time = 0;
  std::vector<Bytes> load;  // per section: sum of its items' sizes
  Bytes base = 0;           // whole-life items lie below this; offsets of items begin here
  Bytes fixed_height = 0;   // highest end of a whole-life item or of a fixed buffer
  Bytes lower_bound = 0;    // no layout of this partition is lower
  Bytes block_limit = kNoLimit;
  bool is_plain = true;  // neither alignments of single buffers, nor obstacles, nor blocks

  std::int32_t num_items() const { return static_cast<std::int32_t>(items.size()); }

  // Returns the lowest address at or above `address` at which `item` may begin as far as alignment
  // and blocks go.
  Bytes lowest_start(const Item& item, Bytes address) const {
    if (is_plain) return address;
    Bytes start = (address + item.alignment - 1) / item.alignment * item.alignment;
    if (block_limit != kNoLimit && start / block_limit != (start + item.size - 1) / block_limit) {
      start = (start / block_limit + 1) * block_limit;  // block limits are aligned to everything
    }
    return start;
  }
};

// Offsets of one partition's items, by index.
struct Placement {
  std::vector<Bytes> offsets;
  Bytes height = kNoLimit;  // highest end, Partition::fixed_height included
};

struct TIDEMARK_API Partitions {
  std::vector<Partition> parts;
  Layout layout;  // of what has no choice; 0 for all others
  Bytes lower_bound = 0;

  // Writes the offsets of partition `part` into layout.
  void settle(std::size_t part, const Placement& placement);
};

// REQUIRES: check(instance) passes.
TIDEMARK_API Partitions make_partitions(const Instance& instance);

// Returns the height that `offsets` reach in `partition`.
Bytes height_of(const Partition& partition, const std::vector<Bytes>& offsets);

}  // namespace tidemark::arena
