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
  return observer_ != nullptr && observer_thread_ == std::this_thread::get_id();
}

c10::DataPtr StepAllocator::allocate(size_t bytes) {
  const bool observed = is_observing_thread();
  if (bytes == 0) return {nullptr, nullptr, &free_block, c10::Device(c10::kCPU)};
  if (observed) observer_->before_allocate(static_cast<Bytes>(bytes));
  c10::DataPtr memory = under_->allocate(bytes);
  void* data = memory.get();
  AllocationId id = kNoAllocation;
  {
    std::lock_guard lock(mutex_);
    const bool is_counted = observed || observer_ == nullptr;
    id = next_id_++;
    blocks_.insert_or_assign(data,
                             Block{id, static_cast<Bytes>(bytes), is_counted, std::move(memory)});
    if (is_counted) {
      live_ += static_cast<Bytes>(bytes);
      peak_ = std::max(peak_, live_);
    } else {
      uncounted_ += static_cast<Bytes>(bytes);
    }
  }
  if (observed) observer_->after_allocate(id, static_cast<Bytes>(bytes));
  return {data, data, &free_block, c10::Device(c10::kCPU)};
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

AllocationId StepAllocator::id_of(const void* data) const {
  std::lock_guard lock(mutex_);
  auto it = blocks_.find(data);
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
