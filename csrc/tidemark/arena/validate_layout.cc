#include "tidemark/arena/validate_layout.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "tidemark/base/error.h"

namespace tidemark {
namespace {

using internal::concatenate;
using Found = std::optional<LayoutViolation>;

class Inspection {
 public:
  Inspection(const Instance& instance, const Layout& layout)
      : instance_(instance), layout_(layout) {}

  Found run() {
    const std::size_t count = instance_.buffers.size();
    if (layout_.offsets.size() != count) {
      return LayoutViolation{.rule = LayoutRule::kWrongCount,
                             .sentence = concatenate("there are ", layout_.offsets.size(),
                                                     " offsets for ", count, " buffers")};
    }
    for (std::size_t row = 0; row < count; ++row) {
      if (Found found = inspect(static_cast<std::int32_t>(row))) return found;
    }
    if (Found found = find_overlap()) return found;
    return inspect_height();
  }

 private:
  Bytes low(std::int32_t row) const { return layout_.offsets[row]; }

  Bytes high(std::int32_t row) const {
    const Bytes size = instance_.buffers[row].size;
    const Bytes rest = size % instance_.alignment;
    return low(row) + (rest == 0 ? size : size - rest + instance_.alignment);
  }

  bool takes_room(std::int32_t row) const {
    const Buffer& buffer = instance_.buffers[row];
    return buffer.size > 0 && buffer.begin < buffer.end;
  }

  template <typename... Parts>
  LayoutViolation broken(LayoutRule rule, std::int32_t row, const Parts&... parts) const {
    return {.rule = rule,
            .row = row,
            .sentence =
                concatenate("buffer ", name_of(instance_, row), " at offset ", low(row), parts...)};
  }

  Found inspect(std::int32_t row) const {
    const Buffer& buffer = instance_.buffers[row];
    if (low(row) < 0) return broken(LayoutRule::kNegative, row, " lies below the arena");
    for (const Bytes alignment : {instance_.alignment, buffer.alignment}) {
      if (low(row) % alignment == 0) continue;
      return broken(LayoutRule::kMisaligned, row, " is not aligned to ", alignment);
    }
    if (buffer.offset && *buffer.offset != low(row)) {
      return broken(LayoutRule::kNotAsFixed, row, " must lie at ", *buffer.offset);
    }
    return takes_room(row) ? inspect_room(row) : std::nullopt;
  }

  Found inspect_room(std::int32_t row) const {
    for (const AddressRange& range : instance_.forbidden) {
      if (high(row) <= range.begin || range.end <= low(row)) continue;
      if (range.begin == range.end) continue;
      return broken(LayoutRule::kForbidden, row, " to ", high(row),
                    " touches the forbidden range [", range.begin, ", ", range.end, ")");
    }
    if (!instance_.block_limit) return std::nullopt;
    const Bytes limit = *instance_.block_limit;
    if (low(row) / limit == (high(row) - 1) / limit) return std::nullopt;
    return broken(LayoutRule::kCrossesBlock, row, " to ", high(row),
                  " crosses the end of a block of ", limit, " bytes");
  }

  // Live buffers never overlap each other, so a new one can only overlap its neighbours.
  Found find_overlap() const {
    using Change = std::tuple<Time, bool, std::int32_t>;  // ends (false) before beginnings
    std::vector<Change> changes;
    for (std::size_t i = 0; i < instance_.buffers.size(); ++i) {
      const auto row = static_cast<std::int32_t>(i);
      if (!takes_room(row)) continue;
      changes.emplace_back(instance_.buffers[i].begin, true, row);
      changes.emplace_back(instance_.buffers[i].end, false, row);
    }
    std::sort(changes.begin(), changes.end());
    std::map<Bytes, std::int32_t> live;  // by offset
    for (const auto& [time, begins, row] : changes) {
      if (!begins) {
        live.erase(low(row));
        continue;
      }
      const auto above = live.lower_bound(low(row));
      if (above != live.end() && low(above->second) < high(row)) {
        return overlap(row, above->second);
      }
      if (above != live.begin() && high(std::prev(above)->second) > low(row)) {
        return overlap(row, std::prev(above)->second);
      }
      live.emplace_hint(above, low(row), row);
    }
    return std::nullopt;
  }

  LayoutViolation overlap(std::int32_t row, std::int32_t other) const {
    LayoutViolation found =
        broken(LayoutRule::kOverlap, row, " to ", high(row), " overlaps buffer ",
               name_of(instance_, other), " at ", low(other), " to ", high(other),
               ", which is live at time ", instance_.buffers[row].begin, " too");
    found.other = other;
    return found;
  }

  Found inspect_height() const {
    Bytes highest = 0;
    for (std::size_t i = 0; i < instance_.buffers.size(); ++i) {
      const auto row = static_cast<std::int32_t>(i);
      if (takes_room(row)) highest = std::max(highest, high(row));
    }
    if (highest == layout_.height) return std::nullopt;
    return LayoutViolation{
        .rule = LayoutRule::kWrongHeight,
        .sentence = concatenate("the height is said to be ", layout_.height, " and is ", highest)};
  }

  const Instance& instance_;
  const Layout& layout_;
};

}  // namespace

std::string_view to_string(LayoutRule rule) noexcept {
  switch (rule) {
    case LayoutRule::kWrongCount:
      return "wrong_count";
    case LayoutRule::kNegative:
      return "negative";
    case LayoutRule::kMisaligned:
      return "misaligned";
    case LayoutRule::kNotAsFixed:
      return "not_as_fixed";
    case LayoutRule::kForbidden:
      return "forbidden";
    case LayoutRule::kCrossesBlock:
      return "crosses_block";
    case LayoutRule::kOverlap:
      return "overlap";
    case LayoutRule::kWrongHeight:
      return "wrong_height";
  }
  return "unknown";
}

std::optional<LayoutViolation> validate(const Instance& instance, const Layout& layout) {
  return Inspection(instance, layout).run();
}

}  // namespace tidemark
