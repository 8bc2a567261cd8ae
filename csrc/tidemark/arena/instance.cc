#include "tidemark/arena/instance.h"

#include <limits>

#include "tidemark/base/error.h"

namespace tidemark {
namespace {

constexpr Bytes kMost = Bytes{1} << 62;
constexpr Time kLatest = Time{1} << 62;

Bytes round_up(Bytes size, Bytes alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

void check_offset(const Instance& instance, const Buffer& buffer, Bytes offset,
                  const std::string& who) {
  TIDEMARK_CHECK_VALUE(offset >= 0 && offset < kMost, who, ": fixed offset is ", offset,
                       "; it must be at least 0 and below 2^62");
  TIDEMARK_CHECK_VALUE(offset % buffer.alignment == 0 && offset % instance.alignment == 0, who,
                       ": fixed offset ", offset, " is no multiple of the alignments ",
                       buffer.alignment, " and ", instance.alignment);
}

void check_block(const Instance& instance, const Buffer& buffer, Bytes limit,
                 const std::string& who) {
  TIDEMARK_CHECK_VALUE(limit % buffer.alignment == 0, who, ": block limit ", limit,
                       " is no multiple of the alignment ", buffer.alignment);
  TIDEMARK_CHECK_VALUE(padded_size(instance, buffer) <= limit, who, ": size ", buffer.size,
                       " is above the block limit ", limit);
}

void check_buffer(const Instance& instance, std::int32_t row) {
  const Buffer& buffer = instance.buffers[row];
  const std::string who = "buffer " + name_of(instance, row);
  TIDEMARK_CHECK_VALUE(buffer.begin <= buffer.end, who, ": its life ends at ", buffer.end,
                       ", before it begins at ", buffer.begin);
  // So that every life has a length.
  TIDEMARK_CHECK_VALUE(-kLatest < buffer.begin && buffer.end < kLatest, who, ": it lives from ",
                       buffer.begin, " to ", buffer.end, "; times lie between -2^62 and 2^62");
  TIDEMARK_CHECK_VALUE(buffer.size >= 0 && buffer.size < kMost, who, ": size is ", buffer.size,
                       "; it must be at least 0 and below 2^62");
  TIDEMARK_CHECK_VALUE(buffer.alignment >= 1 && buffer.alignment < kMost, who, ": alignment is ",
                       buffer.alignment, "; it must be at least 1");
  if (buffer.offset) check_offset(instance, buffer, *buffer.offset, who);
  if (instance.block_limit) check_block(instance, buffer, *instance.block_limit, who);
}

}  // namespace

Bytes padded_size(const Instance& instance, const Buffer& buffer) {
  return round_up(buffer.size, instance.alignment);
}

std::string name_of(const Instance& instance, std::int32_t row) {
  const std::string& name = instance.buffers[row].name;
  return name.empty() ? "#" + std::to_string(row) : name;
}

void check(const Instance& instance) {
  TIDEMARK_CHECK_VALUE(instance.buffers.size() < std::numeric_limits<std::int32_t>::max(),
                       "an instance holds at most 2^31 - 2 buffers");
  TIDEMARK_CHECK_VALUE(instance.alignment >= 1 && instance.alignment < kMost, "alignment is ",
                       instance.alignment, "; it must be at least 1");
  if (instance.block_limit) {
    TIDEMARK_CHECK_VALUE(*instance.block_limit > 0 && *instance.block_limit % instance.alignment == 0,
                         "block limit ", *instance.block_limit,
                         " is no positive multiple of the alignment ", instance.alignment);
  }
  for (const AddressRange& range : instance.forbidden) {
    TIDEMARK_CHECK_VALUE(0 <= range.begin && range.begin <= range.end && range.end < kMost,
                         "forbidden range [", range.begin, ", ", range.end,
                         ") must begin at 0 or above and end at or after that");
  }
  Bytes sum = 0;
  for (std::size_t row = 0; row < instance.buffers.size(); ++row) {
    check_buffer(instance, static_cast<std::int32_t>(row));
    const Buffer& buffer = instance.buffers[row];
    // Whatever order they come in, offsets stay below the sum of sizes and of what alignment
    // wastes.
    sum = checked_add(sum, checked_add(padded_size(instance, buffer), buffer.alignment));
    TIDEMARK_CHECK_VALUE(sum < kMost, "the sizes up to buffer ",
                         name_of(instance, static_cast<std::int32_t>(row)), " sum to 2^62 or more");
  }
}

}  // namespace tidemark
