#include "tidemark/arena/address_plan.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "tidemark/arena/validate_layout.h"
#include "tidemark/base/error.h"

namespace tidemark {
namespace {

// When a block lives, on a circle of trace.length times: from begin up to end, past 0 if end is not
// above begin.
struct Arc {
  std::size_t block = 0;
  Time begin = 0;
  Time end = 0;  // in (0, length]
};

void check_times(const StepTrace& trace) {
  const auto is_time = [&](Time time) { return 0 <= time && time < trace.length; };
  for (std::size_t i = 0; i < trace.blocks.size(); ++i) {
    const TracedBlock& block = trace.blocks[i];
    const bool is_right = is_time(block.begin) && (!block.end || is_time(*block.end)) &&
                          (!block.end_of_last || is_time(*block.end_of_last)) &&
                          (!block.end || *block.end > block.begin);
    TIDEMARK_CHECK_VALUE(is_right, "trace: a time of allocation ", i, " is outside [0, ",
                         trace.length, ") or its end is not behind its beginning");
  }
}

// The blocks whose address is free again by the time that the next step makes their like.
std::vector<Arc> arcs_of(const StepTrace& trace) {
  std::vector<Arc> arcs;
  for (std::size_t i = 0; i < trace.blocks.size(); ++i) {
    const TracedBlock& block = trace.blocks[i];
    if (block.is_left_out) continue;
    if (block.end) {
      arcs.push_back({i, block.begin, *block.end});
    } else if (block.end_of_last && *block.end_of_last <= block.begin) {
      const Time end = *block.end_of_last;
      arcs.push_back({i, block.begin, end > 0 ? end : trace.length});
    }
  }
  return arcs;
}

// The time at which the fewest bytes live that lived just before: there the circle is cut, because
// what lies across the cut must be given its address before the search.
Time best_cut(const StepTrace& trace, const std::vector<Arc>& arcs) {
  std::vector<Bytes> change(static_cast<std::size_t>(trace.length) + 1);
  Bytes cut_bytes = 0;  // of a cut at 0
  for (const Arc& arc : arcs) {
    const Bytes bytes = trace.blocks[arc.block].bytes;
    const bool is_around = arc.end <= arc.begin;
    if (is_around) cut_bytes += bytes;
    change[arc.begin + 1] += bytes;  // a cut where it begins leaves it whole
    if (arc.end < trace.length) change[arc.end] -= bytes;
  }
  Time best = 0;
  Bytes least = cut_bytes;
  for (Time time = 1; time < trace.length; ++time) {
    cut_bytes += change[time];
    if (cut_bytes >= least) continue;
    least = cut_bytes;
    best = time;
  }
  return best;
}

// What lies there of a traced block from `begin` to `end`. `offset`: where, if that is fixed.
Buffer buffer_of(const StepTrace& trace, std::size_t block, Time begin, Time end,
                 std::optional<Bytes> offset) {
  return {.begin = begin,
          .end = end,
          .size = trace.blocks[block].bytes,
          .offset = offset,
          .name = "#" + std::to_string(block)};
}

class Cutter {
 public:
  Cutter(const StepTrace& trace, Bytes alignment) : trace_(trace) {
    instance_.alignment = alignment;
  }

  // Makes rows of the arcs; an arc across the cut becomes two rows with one offset.
  void cut(const std::vector<Arc>& arcs) {
    cut_ = best_cut(trace_, arcs);
    Bytes across = 0;
    for (const Arc& arc : arcs) {
      const Bytes bytes = trace_.blocks[arc.block].bytes;
      const Time begin = (arc.begin - cut_ + trace_.length) % trace_.length;
      const Time end = arc.end > cut_ ? arc.end - cut_ : arc.end - cut_ + trace_.length;
      if (begin < end) {
        add(arc.block, begin, end, std::nullopt);
        continue;
      }
      add(arc.block, begin, trace_.length, across);
      add(arc.block, 0, end, across);
      across += padded_size(instance_, {.size = bytes});
    }
  }

  Instance& instance() { return instance_; }
  Time time() const { return cut_; }
  // Per row of the instance: its block.
  const std::vector<std::size_t>& blocks() const { return blocks_; }

 private:
  void add(std::size_t block, Time begin, Time end, std::optional<Bytes> offset) {
    instance_.buffers.push_back(buffer_of(trace_, block, begin, end, offset));
    blocks_.push_back(block);
  }

  const StepTrace& trace_;
  Time cut_ = 0;
  Instance instance_;
  std::vector<std::size_t> blocks_;
};

// Who lay last at each address.
class Ground {
 public:
  // Returns whom `slot` comes to lie upon at [low, high), ascending, and lays it there.
  std::vector<std::int32_t> lay(std::int32_t slot, Bytes low, Bytes high) {
    split(low);
    split(high);
    const auto begin = pieces_.lower_bound(low);
    const auto end = pieces_.lower_bound(high);
    std::vector<std::int32_t> below;
    for (auto piece = begin; piece != end; ++piece) below.push_back(piece->second.slot);
    std::sort(below.begin(), below.end());
    below.erase(std::unique(below.begin(), below.end()), below.end());
    pieces_.erase(begin, end);
    pieces_[low] = {high, slot};
    return below;
  }

 private:
  struct Piece {
    Bytes high = 0;
    std::int32_t slot = 0;
  };

  void split(Bytes at) {
    auto above = pieces_.lower_bound(at);
    if (above == pieces_.begin()) return;
    auto& [low, piece] = *std::prev(above);
    if (piece.high <= at) return;
    pieces_[at] = piece;
    piece.high = at;
  }

  std::map<Bytes, Piece> pieces_;  // by their lowest address
};

// One step shows who lies where at its end, the next one who lies upon whom.
void find_slots_before(AddressPlan& plan) {
  Ground ground;
  for (int step = 0; step < 2; ++step) {
    for (std::size_t i = 0; i < plan.slots.size(); ++i) {
      AddressSlot& slot = plan.slots[i];
      if (slot.offset == kNoOffset) continue;
      const Bytes high = slot.offset + padded_size(plan.instance, {.size = slot.bytes});
      slot.before = ground.lay(static_cast<std::int32_t>(i), slot.offset, high);
    }
  }
}

// What lives on from the first step dies in the second; from there on as in `trace`.
StepTrace twice(const StepTrace& trace) {
  StepTrace result{2 * trace.length, trace.blocks, {}};
  for (TracedBlock& block : result.blocks) {
    if (!block.end_of_last) continue;
    block.end = trace.length + *block.end_of_last;
    block.end_of_last.reset();
  }
  for (TracedBlock block : trace.blocks) {
    block.begin += trace.length;
    if (block.end) *block.end += trace.length;
    result.blocks.push_back(block);
  }
  return result;
}

// A step that begins at the cut, to be packed below `height` so that its mirror image can follow
// it: what lives across the cut lies at the top where it is left behind and at the bottom where it
// is found.
class Half {
 public:
  // REQUIRES: `cut` is a time of two steps like `trace`.
  Half(const StepTrace& trace, Bytes alignment, Time cut, Bytes height)
      : trace_(trace), cut_(cut), height_(height / alignment * alignment) {
    instance_.alignment = alignment;
    Bytes across = 0;
    for (std::size_t i = 0; i < trace.blocks.size(); ++i) {
      const TracedBlock& block = trace.blocks[i];
      if (block.is_left_out || (!block.end && !block.end_of_last)) continue;
      const Time begin = (block.begin + trace.length - cut % trace.length) % trace.length;
      const Time end =
          begin + (block.end ? *block.end : trace.length + *block.end_of_last) - block.begin;
      if (end <= trace.length) {
        add(i, begin, end, std::nullopt);
        continue;
      }
      add(i, begin, trace.length, mirrored(across, block.bytes));
      add(i, 0, end - trace.length, across);
      across += padded(block.bytes);
      has_room_ = has_room_ && across <= height_ && end <= 2 * trace.length;
    }
  }

  // Returns whether it could be packed.
  bool pack(PackOptions options) {
    if (!has_room_) return false;
    options.capacity = height_;
    const Packing packing = tidemark::pack(instance_, options);
    if (packing.status == PackStatus::kInfeasible || packing.layout.height > height_) return false;
    offsets_.assign(trace_.blocks.size(), kNoOffset);
    for (std::size_t row = blocks_.size(); row-- > 0;) {  // where it is left behind comes first
      offsets_[blocks_[row]] = packing.layout.offsets[row];
    }
    return true;
  }

  // Of a block of either of the two steps, numbered as in `twice`. REQUIRES: it could be packed.
  Bytes offset(std::size_t block) const {
    const std::size_t like = block % trace_.blocks.size();
    const Bytes offset = offsets_[like];
    if (offset == kNoOffset) return kNoOffset;
    const Time begin = trace_.blocks[like].begin + (block == like ? 0 : trace_.length);
    const bool is_first = (begin + 2 * trace_.length - cut_) % (2 * trace_.length) < trace_.length;
    return is_first ? offset : mirrored(offset, trace_.blocks[like].bytes);
  }

 private:
  Bytes padded(Bytes bytes) const { return padded_size(instance_, {.size = bytes}); }
  Bytes mirrored(Bytes offset, Bytes bytes) const { return height_ - offset - padded(bytes); }

  void add(std::size_t block, Time begin, Time end, std::optional<Bytes> offset) {
    instance_.buffers.push_back(buffer_of(trace_, block, begin, end, offset));
    blocks_.push_back(block);
  }

  const StepTrace& trace_;
  Time cut_;
  Bytes height_;
  bool has_room_ = true;
  Instance instance_;
  std::vector<std::size_t> blocks_;  // per row of the instance
  std::vector<Bytes> offsets_;       // per block of one step
};

}  // namespace

bool StepTrace::has_overlaps() const noexcept {
  return std::any_of(blocks.begin(), blocks.end(), [](const TracedBlock& block) {
    return !block.is_left_out && block.end_of_last && *block.end_of_last > block.begin;
  });
}

Bytes AddressPlan::block_bytes() const noexcept {
  Bytes bytes = 0;
  for (const AddressSlot& slot : slots) {
    if (slot.offset != kNoOffset) bytes += slot.bytes;
  }
  return bytes / num_steps;
}

AddressPlan plan_addresses(const StepTrace& trace, Bytes alignment, const PackOptions& options) {
  check_times(trace);
  Cutter cutter(trace, alignment);
  cutter.cut(arcs_of(trace));
  AddressPlan plan;
  plan.instance = std::move(cutter.instance());
  plan.packing = pack(plan.instance, options);
  for (const TracedBlock& block : trace.blocks) {
    plan.slots.push_back({.bytes = block.bytes, .outlives_step = !block.end, .before = {}});
  }
  for (std::size_t row = 0; row < cutter.blocks().size(); ++row) {
    plan.slots[cutter.blocks()[row]].offset = plan.packing.layout.offsets[row];
  }
  find_slots_before(plan);
  return plan;
}

AddressPlan plan_addresses_of_two(const StepTrace& trace, Bytes alignment,
                                  const PackOptions& options) {
  check_times(trace);
  AddressPlan plan = plan_addresses(twice(trace), alignment, options);
  plan.num_steps = 2;
  const std::size_t num_blocks = trace.blocks.size();
  for (std::size_t i = 0; i < plan.slots.size(); ++i) {
    plan.slots[i].outlives_step = !trace.blocks[i % num_blocks].end;
  }
  return plan;
}

bool mirror_second_step(AddressPlan& plan, const StepTrace& trace, Bytes height,
                        const PackOptions& options) {
  const StepTrace two = twice(trace);
  Cutter cutter(two, plan.instance.alignment);
  cutter.cut(arcs_of(two));
  Half half(trace, plan.instance.alignment, cutter.time(), height);
  if (!half.pack(options)) return false;
  for (std::size_t i = 0; i < plan.slots.size(); ++i) plan.slots[i].offset = half.offset(i);
  Layout& layout = plan.packing.layout;
  layout.height = 0;
  for (std::size_t row = 0; row < cutter.blocks().size(); ++row) {
    const AddressSlot& slot = plan.slots[cutter.blocks()[row]];
    Buffer& buffer = plan.instance.buffers[row];
    if (buffer.offset) buffer.offset = slot.offset;
    layout.offsets[row] = slot.offset;
    layout.height = std::max(layout.height, slot.offset + padded_size(plan.instance, buffer));
  }
  plan.packing.status =
      layout.height == plan.packing.lower_bound ? PackStatus::kOptimal : PackStatus::kFeasible;
  const auto broken = validate(plan.instance, layout);
  TIDEMARK_ASSERT(!broken, "the mirrored layout is wrong: ", broken->sentence);
  for (AddressSlot& slot : plan.slots) slot.before.clear();
  find_slots_before(plan);
  return true;
}

Bytes growth_outside(const StepTrace& trace, const AddressPlan& plan) {
  std::vector<Bytes> change(trace.live_bytes.size() + 1);  // of the bytes in the arena
  for (std::size_t i = 0; i < trace.blocks.size(); ++i) {
    if (plan.slots[i].offset == kNoOffset) continue;
    const TracedBlock& block = trace.blocks[i];
    change[block.begin] += block.bytes;
    if (block.end) {
      change[*block.end] -= block.bytes;
    } else if (block.end_of_last) {
      change[0] += block.bytes;
      change[*block.end_of_last] -= block.bytes;
    }
  }
  Bytes inside = 0;
  Bytes most = 0;
  for (std::size_t time = 0; time < trace.live_bytes.size(); ++time) {
    inside += change[time];
    const Bytes outside = trace.live_bytes[time] - inside;
    most = std::max(most, outside - (trace.live_bytes[0] - change[0]));
  }
  return most;
}

}  // namespace tidemark
