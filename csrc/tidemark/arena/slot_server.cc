#include "tidemark/arena/slot_server.h"

#include <algorithm>

namespace tidemark {

SlotServer::SlotServer(const AddressPlan& plan)
    : num_slots_(static_cast<std::int32_t>(plan.slots.size())),
      slots_per_step_(num_slots_ / plan.num_steps),
      slots_(plan.slots.size()),
      is_live_(std::make_unique<std::atomic<bool>[]>(plan.slots.size())) {
  for (std::int32_t i = 0; i < num_slots_; ++i) {
    const AddressSlot& planned = plan.slots[i];
    Slot& slot = slots_[i];
    slot.bytes = planned.bytes;
    slot.offset = planned.offset;
    slot.before_begin = static_cast<std::uint32_t>(before_.size());
    before_.insert(before_.end(), planned.before.begin(), planned.before.end());
    slot.before_end = static_cast<std::uint32_t>(before_.size());
    if (slot.offset == kNoOffset) continue;
    by_offset_.push_back(i);
    if (planned.outlives_step) outliving_.push_back(i);
  }
  std::sort(by_offset_.begin(), by_offset_.end(),
            [this](std::int32_t a, std::int32_t b) { return slots_[a].offset < slots_[b].offset; });
}

bool SlotServer::begin_step() noexcept {
  const std::int32_t last_end = end_ == 0 ? num_slots_ : end_;
  next_ = last_end == num_slots_ ? 0 : last_end;
  end_ = next_ + slots_per_step_;
  num_refused_ = 0;
  num_taken_ = 0;
  taken_bytes_ = 0;
  has_differed_ = false;
  // One that dies meanwhile may be counted and seen or not: then it looks as if it should not live.
  return holders_.num_present() ==
         std::count_if(outliving_.begin(), outliving_.end(), [=, this](auto slot) {
           return last_end - slots_per_step_ <= slot && slot < last_end &&
                  is_live_[slot].load(std::memory_order_acquire);
         });
}

Bytes SlotServer::live_bytes() const noexcept {
  Bytes bytes = 0;
  for (std::int32_t i = 0; i < num_slots_; ++i) {
    if (is_live_[i].load(std::memory_order_acquire)) bytes += slots_[i].bytes;
  }
  return bytes;
}

std::vector<AddressRange> SlotServer::free_ranges(Bytes height) const {
  std::vector<AddressRange> ranges;
  Bytes end = 0;  // of what lives so far
  for (const std::int32_t i : by_offset_) {
    const Slot& slot = slots_[i];
    if (!is_live_[i].load(std::memory_order_acquire)) continue;
    if (slot.offset > end) ranges.push_back({end, slot.offset});
    end = std::max(end, slot.offset + slot.bytes);
  }
  if (height > end) ranges.push_back({end, height});
  return ranges;
}

}  // namespace tidemark
