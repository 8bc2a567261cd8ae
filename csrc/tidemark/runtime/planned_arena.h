// PlannedArena: memory whose addresses an AddressPlan has chosen, served to one step after another.
//
// Allocations go to their planned addresses as long as they come as planned, and to the allocator
// below from the first difference on (slot_server.h says why that can never be wrong). A block is
// valid until it is freed, whatever becomes of the step, the budget or the arena's owner: a retired
// arena gives back the pages that nobody uses at once, and the rest with its last block.
//
// Made and freed blocks are reported to torch's profiler like any other of the CPU's.
//
// THREADS: allocate and everything else from one thread at a time; blocks may be freed by any.
#pragma once

#include <c10/core/Allocator.h>

#include <memory>
#include <vector>

#include "tidemark/arena/slot_server.h"
#include "tidemark/runtime/pages.h"

namespace tidemark {

class PlannedArena final : public c10::Allocator {
 public:
  struct Options {
    // Freed memory is filled with bytes that are NaN in every format, and the allocator below makes
    // and frees a block of its own for every one served, so that what counts there still counts.
    bool is_debugging = false;
    bool is_limited = false;  // pages are given back as soon as a step differs from the plan
  };
  struct Retire {
    void operator()(PlannedArena* arena) const noexcept { arena->retire(); }
  };
  using Owner = std::unique_ptr<PlannedArena, Retire>;

  // `under`: where the rest goes; must outlive all blocks. Throws std::bad_alloc.
  static Owner make(const AddressPlan& plan, c10::Allocator& under, Options options) {
    return Owner(new PlannedArena(plan, under, options));
  }

  // Returns whether it can serve the step that begins: see SlotServer.
  bool begin_step() noexcept;
  const SlotServer& server() const noexcept { return server_; }
  // Until release, which any thread may call, nothing is served at the slot's addresses: what lies
  // elsewhere and counts is to have no double here. REQUIRES: no step has begun yet.
  void reserve(std::int32_t slot) noexcept { server_.reserve(slot); }
  void release(std::int32_t slot) noexcept;
  // Gives back the pages on which nothing lives.
  void give_back_pages();

  c10::DataPtr allocate(std::size_t bytes) override;
  void copy_data(void* dest, const void* src, std::size_t count) const override;

 private:
  // What a block's deleter is given: its place in blocks_ is its slot.
  struct Block {
    PlannedArena* arena = nullptr;
    void* data = nullptr;
  };

  PlannedArena(const AddressPlan& plan, c10::Allocator& under, Options options);
  ~PlannedArena() override = default;
  c10::DataPtr fall_back(std::size_t bytes);
  void retire() noexcept;
  static void free_block(void* block) noexcept;
  void free_slot(std::int32_t slot) noexcept;
  void poison(AddressRange range) noexcept;

  SlotServer server_;
  std::vector<Block> blocks_;
  std::vector<c10::DataPtr> shadows_;  // while debugging, per slot: the block below
  Pages pages_;
  c10::Allocator& under_;
  Options options_;
  bool may_hold_pages_ = false;
};

}  // namespace tidemark
