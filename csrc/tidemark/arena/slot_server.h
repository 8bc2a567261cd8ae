// SlotServer: hands out the slots of an AddressPlan, step by step, and never one that is not free.
//
//   if (!server.begin_step()) ...                // something lives that should not: take a new one
//   const std::int32_t slot = server.take(bytes);   // kNoSlot: not in the arena
//   if (server.give_back(slot)) delete ...       // when the block dies, however late
//
// WHY NO TWO LIVE BLOCKS OVERLAP, whatever the program does. Slots are handed out in the order of
// the plan, and from the first allocation on that is not the planned one, or whose address is not
// free, none is until the next step. A slot is handed out only if all slots that lay last where it
// is to lie are free; when those were handed out, the ones before them were, and so on back to the
// beginning of the step. A step begins with nothing alive but slots of the last one that outlive a
// step, upon which nothing can lie (the plan has them alive to the end); their successors look at
// them.
//
// THREADS: one thread at a time takes; any thread may give back.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "tidemark/arena/address_plan.h"
#include "tidemark/base/holders.h"

namespace tidemark {

inline constexpr std::int32_t kNoSlot = -1;

class TIDEMARK_API SlotServer {
 public:
  explicit SlotServer(const AddressPlan& plan);

  // Begins the step that comes next in the plan, after the last one the first. Returns whether that
  // is possible: nothing lives but what outlives the step before.
  bool begin_step() noexcept;

  // Returns the slot of the allocation that comes next; kNoSlot: it has none, or not any more.
  std::int32_t take(Bytes bytes) noexcept {
    if (next_ < end_ && slots_[next_].bytes == bytes && !has_differed_) [[likely]] {
      const Slot& slot = slots_[next_];
      if (slot.offset == kNoOffset) {
        ++next_;
        return kNoSlot;
      }
      if (is_free_below(slot)) [[likely]] {
        is_live_[next_].store(true, std::memory_order_relaxed);
        holders_.come();
        ++num_taken_;
        taken_bytes_ += bytes;
        return next_++;
      }
    }
    has_differed_ = true;
    ++num_refused_;
    return kNoSlot;
  }
  // Takes a slot of the step before, out of turn, for what lives elsewhere: until it is given back,
  // nothing comes to lie there. REQUIRES: no step has begun yet.
  void reserve(std::int32_t slot) noexcept {
    is_live_[slot].store(true, std::memory_order_relaxed);
    holders_.come();
  }
  // Returns whether it was the last that held the server: no slot is taken and it was retired.
  bool give_back(std::int32_t slot) noexcept {
    is_live_[slot].store(false, std::memory_order_release);
    return holders_.go();
  }
  // Takes no more. Returns as give_back.
  bool retire() noexcept {
    has_differed_ = true;
    return holders_.close();
  }

  // The addresses of a slot.
  AddressRange range(std::int32_t slot) const noexcept {
    return {slots_[slot].offset, slots_[slot].offset + slots_[slot].bytes};
  }
  // Whether something was allocated in this step that the plan does not have there.
  bool has_differed() const noexcept { return has_differed_; }
  // Of this step: allocations from then on, slots that were taken, and their bytes.
  std::int64_t num_refused() const noexcept { return num_refused_; }
  std::int64_t num_taken() const noexcept { return num_taken_; }
  Bytes taken_bytes() const noexcept { return taken_bytes_; }
  // Bytes of the slots that are taken.
  Bytes live_bytes() const noexcept;
  // The addresses in [0, height) where nothing lives, ascending, as long as possible.
  std::vector<AddressRange> free_ranges(Bytes height) const;

 private:
  struct Slot {
    Bytes bytes = 0;
    Bytes offset = kNoOffset;
    std::uint32_t before_begin = 0;  // its part of before_
    std::uint32_t before_end = 0;
  };

  bool is_free_below(const Slot& slot) const noexcept {
    for (std::uint32_t i = slot.before_begin; i < slot.before_end; ++i) {
      if (is_live_[before_[i]].load(std::memory_order_acquire)) return false;
    }
    return true;
  }

  std::int32_t num_slots_;
  std::int32_t slots_per_step_;
  std::vector<Slot> slots_;
  std::unique_ptr<std::atomic<bool>[]> is_live_;  // per slot; close together, as many are looked at
  std::vector<std::int32_t> before_;
  std::vector<std::int32_t> by_offset_;  // those in the arena
  std::vector<std::int32_t> outliving_;  // those of them that outlive a step
  Holders holders_;                      // slots that are taken or reserved
  std::int32_t next_ = 0;
  std::int32_t end_ = 0;  // of the slots of the step that runs
  std::int64_t num_refused_ = 0;
  std::int64_t num_taken_ = 0;
  Bytes taken_bytes_ = 0;
  bool has_differed_ = false;
};

}  // namespace tidemark
