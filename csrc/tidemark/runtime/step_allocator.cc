#include "tidemark/runtime/step_allocator.h"

#include <c10/util/Exception.h>

#include <algorithm>

namespace tidemark {

StepAllocator& StepAllocator::instance() {
  static auto* allocator = new StepAllocator;  // immortal: StorageImpl keeps pointers to it
  return *allocator;
}

void StepAllocator::acquire() {
  std::lock_guard lock(mutex_);
  if (num_users_++ > 0) return;
  under_ = c10::GetAllocator(c10::kCPU);
  TORCH_CHECK(under_ != this, "tidemark: the allocator is already installed");
  c10::SetAllocator(c10::kCPU, this, 1);
}

void StepAllocator::release() {
  std::lock_guard lock(mutex_);
  if (--num_users_ > 0) return;
  // Somebody may have put another allocator in front of us since; theirs stays.
  if (c10::GetAllocator(c10::kCPU) == this) c10::SetAllocator(c10::kCPU, under_, 1);
}

void StepAllocator::set_observer(StepObserver* observer) {
  std::lock_guard lock(mutex_);
  observer_ = observer;
  observer_thread_ = std::this_thread::get_id();
}

bool StepAllocator::is_observing_thread() const noexcept {
  return observer_ != nullptr && observer_thread_ == std::this_thread::get_id() &&
         Unobserved::innermost_ == nullptr;
}

c10::DataPtr StepAllocator::allocate(size_t bytes) {
  const bool observed = is_observing_thread();
  if (bytes == 0) return {nullptr, nullptr, &free_block, c10::Device(c10::kCPU)};
  if (observed) observer_->before_allocate(static_cast<Bytes>(bytes));
  c10::DataPtr memory = under_->allocate(bytes);
  void* data = memory.get();
  enter(data, Block{kNoAllocation, static_cast<Bytes>(bytes), false, std::move(memory)}, observed);
  return {data, data, &free_block, c10::Device(c10::kCPU)};
}

c10::DataPtr StepAllocator::allocate_dataless(size_t bytes) {
  if (bytes == 0) return {nullptr, nullptr, &free_block, c10::Device(c10::kCPU)};
  auto* key = new char;  // an address that nothing else has
  c10::DataPtr owner(
      key, key, [](void* context) { delete static_cast<char*>(context); }, c10::Device(c10::kCPU));
  enter(key, Block{kNoAllocation, static_cast<Bytes>(bytes), false, std::move(owner), true},
        is_observing_thread());
  return {nullptr, key, &free_block, c10::Device(c10::kCPU)};
}

void StepAllocator::enter(const void* key, Block block, bool observed) {
  const Bytes bytes = block.bytes;
  Unobserved* const unobserved = Unobserved::innermost_;
  if (unobserved != nullptr) unobserved->note(bytes);
  AllocationId id = kNoAllocation;
  {
    std::lock_guard lock(mutex_);
    block.is_counted = unobserved == nullptr && (observed || observer_ == nullptr);
    block.id = id = next_id_++;
    if (block.is_counted) {
      live_ += bytes;
      peak_ = std::max(peak_, live_);
    } else if (unobserved == nullptr) {
      uncounted_ += bytes;
    }
    blocks_.insert_or_assign(key, std::move(block));
  }
  if (observed) observer_->after_allocate(id, bytes);
}

void StepAllocator::stop_counting_dataless() {
  std::lock_guard lock(mutex_);
  for (auto& [key, block] : blocks_) {
    if (!block.is_dataless || !block.is_counted) continue;
    block.is_counted = false;
    live_ -= block.bytes;
  }
}

void StepAllocator::free_block(void* data) {
  if (data == nullptr) return;
  auto& self = instance();
  c10::DataPtr memory;
  AllocationId id = kNoAllocation;
  Bytes bytes = 0;
  {
    std::lock_guard lock(self.mutex_);
    auto it = self.blocks_.find(data);
    TORCH_INTERNAL_ASSERT(it != self.blocks_.end(), "tidemark: freed a block that is not ours");
    memory = std::move(it->second.memory);
    bytes = it->second.bytes;
    id = it->second.id;
    if (it->second.is_counted)
      self.live_ -= bytes;
    else
      id = kNoAllocation;
    self.blocks_.erase(it);
  }
  memory.clear();
  if (Unobserved::innermost_ != nullptr) Unobserved::innermost_->note(-bytes);
  if (id != kNoAllocation && self.is_observing_thread()) self.observer_->after_free(id, bytes);
}

void StepAllocator::copy_data(void* dest, const void* src, std::size_t count) const {
  default_copy_data(dest, src, count);
}

Bytes StepAllocator::live_bytes() const {
  std::lock_guard lock(mutex_);
  return live_;
}

void StepAllocator::add_foreign(Bytes bytes) {
  std::lock_guard lock(mutex_);
  live_ += bytes;
  peak_ = std::max(peak_, live_);
}

Bytes StepAllocator::peak_bytes() const {
  std::lock_guard lock(mutex_);
  return peak_;
}

void StepAllocator::reset_peak() {
  std::lock_guard lock(mutex_);
  peak_ = live_;
}

AllocationId StepAllocator::next_id() const {
  std::lock_guard lock(mutex_);
  return next_id_;
}

AllocationId StepAllocator::id_of(const c10::StorageImpl& storage) const {
  // Past the check of the accessors, which refuse for storages without data.
  const auto& pointer = const_cast<c10::StorageImpl&>(storage)._mutable_data_ptr_no_checks();
  const void* key = pointer.get() != nullptr ? pointer.get() : pointer.get_context();
  std::lock_guard lock(mutex_);
  auto it = blocks_.find(key);
  return it == blocks_.end() || !it->second.is_counted ? kNoAllocation : it->second.id;
}

std::vector<LiveBlock> StepAllocator::live_blocks() const {
  std::vector<LiveBlock> result;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [data, block] : blocks_) {
      if (block.is_counted) result.push_back({block.id, block.bytes});
    }
  }
  std::sort(result.begin(), result.end(), [](auto& a, auto& b) { return a.id < b.id; });
  return result;
}

Bytes StepAllocator::uncounted_bytes() const {
  std::lock_guard lock(mutex_);
  return uncounted_;
}

}  // namespace tidemark
