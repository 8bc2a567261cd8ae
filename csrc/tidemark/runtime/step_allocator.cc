#include "tidemark/runtime/step_allocator.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <utility>

#include "tidemark/graph/hash.h"

namespace tidemark {

struct StepAllocator::Immortal {
  union {
    StepAllocator allocator;
  };
  constexpr Immortal() : allocator() {}
  ~Immortal() {}  // NOLINT(modernize-use-equals-default): does not destroy it
  static Immortal only;
};

constinit StepAllocator::Immortal StepAllocator::Immortal::only;
constinit StepAllocator& StepAllocator::the_instance = Immortal::only.allocator;

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

void StepAllocator::set_observer(StepObserver* observer, bool wants_blocks, Bytes limit) {
  std::lock_guard guard(lock_);
  observer_wants_blocks_ = wants_blocks;
  limit_ = limit;
  freed_elsewhere_.clear();
  has_freed_elsewhere_ = false;
  observer_thread_ = this_thread();
  observer_ = observer;
}

bool StepAllocator::must_ask(Bytes bytes) const noexcept {
  return observer_wants_blocks_.load(std::memory_order_relaxed) ||
         bytes > limit_.load(std::memory_order_relaxed) - live_bytes();
}

void StepAllocator::add_live(Bytes bytes) noexcept {
  const Bytes live = live_bytes() + bytes;
  live_.store(live, std::memory_order_relaxed);
  peak_ = std::max(peak_, live);
}

// The sum of the hashes does not depend on the order in which blocks come and go.
void StepAllocator::add_live_block(Bytes bytes) noexcept {
  add_live(bytes);
  live_sizes_hash_ += hash_int(kHashSeed, bytes);
}

void StepAllocator::remove_live_block(Bytes bytes) noexcept {
  add_live(-bytes);
  live_sizes_hash_ -= hash_int(kHashSeed, bytes);
}

void StepAllocator::note_uncounted(Bytes bytes) noexcept {
  if (Unobserved::is_any()) {
    Unobserved::innermost->note(bytes);
  } else {
    uncounted_ += bytes;
  }
}

c10::DataPtr StepAllocator::allocate(size_t bytes) {
  if (bytes == 0) return {nullptr, nullptr, &free_block, c10::Device(c10::kCPU)};
  const bool is_observed_here = is_observed();
  const auto size = static_cast<Bytes>(bytes);
  c10::Allocator* memory = under_;
  if (is_observed_here) {
    if (must_ask(size)) observer_.load(std::memory_order_relaxed)->before_allocate(size);
    c10::Allocator* const step_memory = step_memory_.load(std::memory_order_relaxed);
    if (step_memory != nullptr) memory = step_memory;
  }
  c10::DataPtr owner = memory->allocate(bytes);
  void* data = owner.get();
  const c10::DeleterFnPtr deleter = enter(data, size, std::move(owner), false, is_observed_here);
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

c10::DeleterFnPtr StepAllocator::enter(const void* key, Bytes bytes, c10::DataPtr&& owner,
                                       bool is_dataless, bool is_observed_here) {
  const bool is_counted = is_observed_here || (!has_observer() && !Unobserved::is_any());
  AllocationId id = kNoAllocation;
  {
    std::lock_guard guard(lock_);
    id = next_id_++;
    const c10::DeleterFnPtr deleter = owner.get_deleter();
    blocks_.insert(key, {id, bytes, owner.release_context(), deleter, is_counted, is_dataless});
    if (is_counted) {
      add_live_block(bytes);
    } else {
      note_uncounted(bytes);
    }
  }
  if (is_observed_here && observer_wants_blocks_.load(std::memory_order_relaxed)) [[unlikely]] {
    observer_.load(std::memory_order_relaxed)->after_allocate(id, bytes);
  }
  return is_counted ? &free_block : &free_uncounted_block;
}

void StepAllocator::stop_counting_dataless() {
  std::lock_guard guard(lock_);
  blocks_.for_each([&](Block& block) {
    if (!block.is_dataless || !block.is_counted) return;
    block.is_counted = false;
    remove_live_block(block.bytes);
  });
}

void StepAllocator::free_block(void* data) {
  if (data == nullptr) return;
  auto& self = instance();
  Block block;
  bool is_wanted = false;
  {
    std::lock_guard guard(self.lock_);
    const Block* known = self.blocks_.take(data);
    TORCH_INTERNAL_ASSERT(known != nullptr, "tidemark: freed a block that is not ours");
    block = *known;
    if (block.is_counted) self.remove_live_block(block.bytes);
    is_wanted = block.is_counted && self.observer_wants_blocks_.load(std::memory_order_relaxed);
    if (is_wanted && !self.observes_this_thread()) self.note_freed_elsewhere(block);
  }
  block.deleter(block.context);
  if (Unobserved::is_any()) Unobserved::innermost->note(-block.bytes);
  if (is_wanted && self.is_observed()) {
    self.observer_.load(std::memory_order_relaxed)->after_free(block.id, block.bytes);
  }
}

void StepAllocator::note_freed_elsewhere(const Block& block) {
  freed_elsewhere_.push_back({block.id, block.bytes});
  has_freed_elsewhere_ = true;
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
