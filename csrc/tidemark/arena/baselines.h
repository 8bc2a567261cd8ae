// The address planners of other systems, as published, to be compared with.
//
// None of them is used by pack(). Ties are broken by row, as theirs are by tensor number.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "tidemark/arena/instance.h"
#include "tidemark/arena/layout.h"
#include "tidemark/base/export.h"

namespace tidemark {

enum class Baseline : std::uint8_t {
  kOnncFirstFit,     // ONNC MemoryAllocation: by start, first fit
  kTfliteBySize,     // Pisarchyk & Lee 2020, TFLite ArenaPlanner: whole-model tensors, then by size
  kTfliteByBreadth,  // Pisarchyk & Lee 2020: ops by the bytes live there, their tensors by size
  kXlaBestFit,       // XLA GlobalDecreasingSizeBestFitHeap, spatial: by size, then by duration
  kMxnetSizeRange,  // NNVM MXGraphAllocator: free list of whole blocks, sizes within a factor of 16
  kNntrainerV1,     // optimized_v1_planner: a stack, and expired slots of exactly the size
  kNntrainerV3,     // optimized_v3_planner: by start, gaps among what lives
  kStartBestFit,    // what a caching allocator does that splits and merges blocks
};

// Returns all of them.
TIDEMARK_API std::span<const Baseline> baselines() noexcept;
TIDEMARK_API std::string_view to_string(Baseline baseline) noexcept;

// Returns the layout that the planner makes. Throws std::invalid_argument for instances with what
// these planners do not know: fixed offsets, forbidden ranges, block limits, alignments of single
// buffers.
TIDEMARK_API Layout pack_as(Baseline baseline, const Instance& instance);

}  // namespace tidemark
