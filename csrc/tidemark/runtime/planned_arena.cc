#include "tidemark/runtime/planned_arena.h"

#include <c10/core/CPUAllocator.h>

#include <cstring>

namespace tidemark {
namespace {

constexpr int kPoison = 0xff;

}  // namespace

PlannedArena::PlannedArena(const AddressPlan& plan, c10::Allocator& under, Options options)
    : server_(plan),
      blocks_(plan.slots.size()),
      shadows_(options.is_debugging ? plan.slots.size() : 0),
      pages_(plan.height()),
      under_(under),
      options_(options) {
  for (std::size_t slot = 0; slot < blocks_.size(); ++slot) {
    const auto begin = server_.range(static_cast<std::int32_t>(slot)).begin;
    blocks_[slot] = {this, begin == kNoOffset ? nullptr : pages_.data() + begin};
  }
  if (options_.is_debugging) poison({0, plan.height()});
}

bool PlannedArena::begin_step() noexcept {
  may_hold_pages_ = true;
  return server_.begin_step();
}

c10::DataPtr PlannedArena::allocate(std::size_t bytes) {
  const std::int32_t slot = server_.take(static_cast<Bytes>(bytes));
  if (slot == kNoSlot) return fall_back(bytes);
  void* const data = blocks_[slot].data;
  if (options_.is_debugging) [[unlikely]] {
    shadows_[slot] = under_.allocate(bytes);
  } else {
    c10::profiledCPUMemoryReporter().New(data, bytes);
  }
  return {data, &blocks_[slot], &free_block, c10::Device(c10::kCPU)};
}

// A step that has left the plan will not come back to it, and needs memory elsewhere.
c10::DataPtr PlannedArena::fall_back(std::size_t bytes) {
  if (options_.is_limited && server_.has_differed()) give_back_pages();
  return under_.allocate(bytes);
}

void PlannedArena::give_back_pages() {
  if (!may_hold_pages_) return;
  may_hold_pages_ = false;
  for (const AddressRange& range : server_.free_ranges(pages_.bytes())) pages_.give_back(range);
}

void PlannedArena::retire() noexcept {
  give_back_pages();
  if (server_.retire()) delete this;
}

void PlannedArena::free_block(void* block) noexcept {
  auto* const freed = static_cast<Block*>(block);
  PlannedArena& arena = *freed->arena;
  arena.free_slot(static_cast<std::int32_t>(freed - arena.blocks_.data()));
}

void PlannedArena::free_slot(std::int32_t slot) noexcept {
  if (options_.is_debugging) [[unlikely]] {
    poison(server_.range(slot));
    shadows_[slot].clear();
  } else {
    c10::profiledCPUMemoryReporter().Delete(blocks_[slot].data);
  }
  release(slot);
}

void PlannedArena::release(std::int32_t slot) noexcept {
  if (server_.give_back(slot)) delete this;
}

void PlannedArena::poison(AddressRange range) noexcept {
  std::memset(pages_.data() + range.begin, kPoison,
              static_cast<std::size_t>(range.end - range.begin));
}

void PlannedArena::copy_data(void* dest, const void* src, std::size_t count) const {
  default_copy_data(dest, src, count);
}

}  // namespace tidemark
