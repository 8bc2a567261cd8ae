// validate: does this layout do what the instance asks?
//
// Written from instance.h alone: it shares no line with a packer, not even how sizes are rounded.
// pack() runs it on every layout before anyone sees it. O(n log n): a sweep over time in which the
// live buffers lie in a set sorted by address, so that only neighbours can overlap.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tidemark/arena/instance.h"
#include "tidemark/arena/layout.h"
#include "tidemark/base/export.h"

namespace tidemark {

enum class LayoutRule : std::uint8_t {
  kWrongCount,    // not one offset per buffer
  kNegative,      // an offset below 0
  kMisaligned,    // an offset that is no multiple of an alignment
  kNotAsFixed,    // a fixed buffer elsewhere
  kForbidden,     // a buffer in a forbidden range
  kCrossesBlock,  // a buffer across the end of a block
  kOverlap,       // two buffers that live at one time share an address
  kWrongHeight,   // the height is not the highest end
};

TIDEMARK_API std::string_view to_string(LayoutRule rule) noexcept;

struct LayoutViolation {
  LayoutRule rule = LayoutRule::kWrongCount;
  std::optional<std::int32_t> row;    // the buffer at fault, if it is one
  std::optional<std::int32_t> other;  // the one it overlaps
  std::string sentence;
  bool operator==(const LayoutViolation&) const = default;
};

// Returns the first broken rule, or nothing for a layout that may be used.
// REQUIRES: check(instance) passes.
TIDEMARK_API std::optional<LayoutViolation> validate(const Instance& instance,
                                                     const Layout& layout);

}  // namespace tidemark
