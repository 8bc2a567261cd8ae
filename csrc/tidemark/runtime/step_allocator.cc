#include "tidemark/runtime/step_allocator.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "tidemark/graph/hash.h"

namespace tidemark {

StepAllocator& StepAllocator::instance() {
  static auto* allocator = new StepAllocator;  // immortal: StorageImpl keeps pointers to it
  return *allocator;
}

void StepAllocator::acquire() {
  std::lock_guard guard(lock_);
  if (num_users_++ > 0) return;
  under_ = c10::GetAllocator(c10::kCPU);
  TORCH_CHECK(under_ != this, "tidemark: the allocator is already installed");
  c10::SetAllocator(c10::kCPU, this, 1);
}

void StepAllocator::release() {
  std::lock_guard guard(lock_);
  if (--num_users_ > 0) return;
  // Somebody may have put another allocator in front of us since; theirs stays.
  if (c10::GetAllocator(c10::kCPU) == this) c10::SetAllocator(c10::kCPU, under_, 1);
}

void StepAllocator::set_observer(StepObserver* observer, bool wants_blocks) {
  std::lock_guard guard(lock_);
  observer_wants_blocks_ = wants_blocks;
  freed_elsewhere_.clear();
  has_freed_elsewhere_ = false;
  observer_thread_ = std::this_thread::get_id();
  observer_ = observer;
}

void StepAllocator::add_live(Bytes bytes) noexcept {
  const Bytes live = live_bytes() + bytes;
  live_.store(live, std::memory_order_relaxed);
  peak_ = std::max(peak_, live);
}

void StepAllocator::add_live_block(Bytes bytes) noexcept {
  add_live(bytes);
  // A sum does not depend on the order in which blocks come and go.
  const std::uint64_t hash = hash_int(kHashSeed, std::abs(bytes));
  live_sizes_hash_ += bytes > 0 ? hash : -hash;
}

c10::DataPtr StepAllocator::allocate(size_t bytes) {
  if (bytes == 0) return {nullptr, nullptr, &free_block, c10::Device(c10::kCPU)};
  const bool is_observed_here = is_observed();
  const auto size = static_cast<Bytes>(bytes);
  if (is_observed_here) observer_.load(std::memory_order_relaxed)->before_allocate(size);
  c10::Allocator* const step_memory =
      is_observed_here ? step_memory_.load(std::memory_order_relaxed) : nullptr;
  c10::DataPtr memory = (step_memory != nullptr ? step_memory : under_)->allocate(bytes);
  void* data = memory.get();
  const c10::DeleterFnPtr deleter = enter(data, size, std::move(memory), false, is_observed_here);
  return {data, data, deleter, c10::Device(c10::kCPU)};
}

c10::DataPtr StepAllocator::allocate_dataless(size_t bytes) {
  if (bytes == 0) return {nullptr, nullptr, &free_block, c10::Device(c10::kCPU)};
  auto* key = new char;  // an address that nothing else has
  c10::DataPtr owner(
      key, key, [](void* context) { delete static_cast<char*>(context); }, c10::Device(c10::kCPU));
  const c10::DeleterFnPtr deleter =
      enter(key, static_cast<Bytes>(bytes), std::move(owner), true, is_observed());
  return {nullptr, key, deleter, c10::Device(c10::kCPU)};
}

c10::DeleterFnPtr StepAllocator::enter(const void* key, Bytes bytes, c10::DataPtr owner,
                                       bool is_dataless, bool is_observed_here) {
  StepObserver* observer = observer_.load(std::memory_order_relaxed);
  Unobserved* const unobserved = Unobserved::innermost;
  if (unobserved != nullptr) unobserved->note(bytes);
  const bool is_counted = unobserved == nullptr && (is_observed_here || observer == nullptr);
  const c10::DeleterFnPtr deleter = owner.get_deleter();
  AllocationId id = kNoAllocation;
  {
    std::lock_guard guard(lock_);
    id = next_id_++;
    blocks_.insert(key, {id, bytes, is_counted, owner.release_context(), deleter, is_dataless});
    if (is_counted) {
      add_live_block(bytes);
    } else if (unobserved == nullptr) {
      uncounted_ += bytes;
    }
  }
  if (is_observed_here && observer_wants_blocks_.load(std::memory_order_relaxed)) {
    observer->after_allocate(id, bytes);
  }
  return is_counted ? &free_block : &free_uncounted_block;
}

void StepAllocator::stop_counting_dataless() {
  std::lock_guard guard(lock_);
  blocks_.for_each([&](Block& block) {
    if (!block.is_dataless || !block.is_counted) return;
    block.is_counted = false;
    add_live_block(-block.bytes);
  });
}

void StepAllocator::free_block(void* data) {
  if (data == nullptr) return;
  auto& self = instance();
  Block block;
  {
    std::lock_guard guard(self.lock_);
    const std::optional<Block> known = self.blocks_.take(data);
    TORCH_INTERNAL_ASSERT(known, "tidemark: freed a block that is not ours");
    block = *known;
    if (block.is_counted) self.add_live_block(-block.bytes);
    if (block.is_counted && self.observer_wants_blocks_ && !self.observes_this_thread()) {
      self.freed_elsewhere_.push_back({block.id, block.bytes});
      self.has_freed_elsewhere_ = true;
    }
  }
  block.deleter(block.context);
  if (Unobserved::innermost != nullptr) Unobserved::innermost->note(-block.bytes);
  if (block.is_counted && self.observer_wants_blocks_.load(std::memory_order_relaxed) &&
      self.is_observed()) {
    self.observer_.load(std::memory_order_relaxed)->after_free(block.id, block.bytes);
  }
}

std::vector<LiveBlock> StepAllocator::take_freed_elsewhere() {
  if (!has_freed_elsewhere_.load(std::memory_order_relaxed)) return {};
  std::lock_guard guard(lock_);
  has_freed_elsewhere_ = false;
  return std::exchange(freed_elsewhere_, {});
}

void StepAllocator::copy_data(void* dest, const void* src, std::size_t count) const {
  default_copy_data(dest, src, count);
}

void StepAllocator::add_foreign(Bytes bytes) {
  std::lock_guard guard(lock_);
  add_live(bytes);
}

Bytes StepAllocator::peak_bytes() const {
  std::lock_guard guard(lock_);
  return peak_;
}

void StepAllocator::reset_peak() {
  std::lock_guard guard(lock_);
  peak_ = live_bytes();
}

AllocationId StepAllocator::next_id() const {
  std::lock_guard guard(lock_);
  return next_id_;
}

AllocationId StepAllocator::id_of(const c10::StorageImpl& storage) const {
  const c10::DataPtr& pointer = pointer_of(storage);
  const void* key = pointer.get() != nullptr ? pointer.get() : pointer.get_context();
  std::lock_guard guard(lock_);
  const Block* block = blocks_.find(key);
  return block == nullptr || !block->is_counted ? kNoAllocation : block->id;
}

std::vector<LiveBlock> StepAllocator::live_blocks() const {
  std::vector<LiveBlock> result;
  {
    std::lock_guard guard(lock_);
    blocks_.for_each([&](const Block& block) {
      if (block.is_counted) result.push_back({block.id, block.bytes});
    });
  }
  std::sort(result.begin(), result.end(), [](auto& a, auto& b) { return a.id < b.id; });
  return result;
}

std::uint64_t StepAllocator::live_sizes_hash() const {
  std::lock_guard guard(lock_);
  return live_sizes_hash_;
}

Bytes StepAllocator::uncounted_bytes() const {
  std::lock_guard guard(lock_);
  return uncounted_;
}

}  // namespace tidemark
