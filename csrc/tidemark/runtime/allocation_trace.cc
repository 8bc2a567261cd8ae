#include "tidemark/runtime/allocation_trace.h"

#include <algorithm>
#include <utility>

#include "tidemark/runtime/step_allocator.h"

namespace tidemark {
namespace {

bool are_equal_sizes(const std::vector<TracedBlock>& a, const std::vector<TracedBlock>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.bytes == y.bytes; });
}

}  // namespace

struct AllocationTrace::Made {
  std::shared_ptr<AllocationTrace> trace;
  std::int64_t step;
  std::size_t index;
  void* context;  // how the allocator under ours is told of the end
  c10::DeleterFnPtr deleter;
};

std::shared_ptr<AllocationTrace> AllocationTrace::for_next_step() const {
  auto next = std::make_shared<AllocationTrace>(under_);
  next->blocks_ = blocks_;
  next->live_bytes_ = live_bytes_;
  next->num_steps_ = num_steps_;
  return next;
}

void AllocationTrace::begin_step() {
  std::lock_guard guard(mutex_);
  ++step_;
  is_running_ = true;
  blocks_[0] = std::move(blocks_[1]);
  blocks_[1].clear();
  live_bytes_.assign(1, StepAllocator::instance().live_bytes());
}

void AllocationTrace::end_step(bool went_as_planned) {
  std::lock_guard guard(mutex_);
  is_running_ = false;
  live_bytes_.push_back(StepAllocator::instance().live_bytes());
  if (!went_as_planned) {
    num_steps_ = 0;
  } else if (num_steps_ == 1 && are_equal_sizes(blocks_[0], blocks_[1])) {
    num_steps_ = 2;
    for (std::size_t i = 0; i < blocks_[1].size(); ++i) {
      if (!blocks_[1][i].end) outliving_.insert(i);
    }
  } else {
    num_steps_ = 1;
  }
}

Time AllocationTrace::tick(Bytes live_bytes) {
  live_bytes_.push_back(live_bytes);
  return static_cast<Time>(live_bytes_.size()) - 1;
}

c10::DataPtr AllocationTrace::allocate(std::size_t bytes) {
  c10::DataPtr memory = under_.allocate(bytes);
  std::lock_guard guard(mutex_);
  const auto size = static_cast<Bytes>(bytes);
  if (is_complete()) {
    if (!outlives(size)) return memory;
    return note(std::move(memory), next_ - 1);
  }
  const Time now = tick(StepAllocator::instance().live_bytes() + size);
  blocks_[1].push_back({.bytes = size, .begin = now, .end = {}, .end_of_last = {}});
  return note(std::move(memory), blocks_[1].size() - 1);
}

c10::DataPtr AllocationTrace::note(c10::DataPtr memory, std::size_t index) {
  void* const data = memory.get();
  const c10::Device device = memory.device();
  const c10::DeleterFnPtr deleter = memory.get_deleter();
  auto* made = new Made{shared_from_this(), step_, index, memory.release_context(), deleter};
  return {data, made, &free_block, device};
}

// Of the allocation that comes next in a step that is followed. From the first one on that is not
// the noted one, none is known.
bool AllocationTrace::outlives(Bytes bytes) {
  const std::vector<TracedBlock>& blocks = blocks_[1];
  if (next_ == blocks.size()) return false;
  if (blocks[next_].bytes != bytes) {
    next_ = blocks.size();
    return false;
  }
  const std::size_t index = next_++;
  if (blocks[index].end) return false;
  outliving_.insert(index);
  return true;
}

void AllocationTrace::free_block(void* block) {
  const std::unique_ptr<Made> made(static_cast<Made*>(block));
  made->deleter(made->context);
  made->trace->note_end(made->step, made->index);
}

void AllocationTrace::note_end(std::int64_t step, std::size_t index) {
  std::lock_guard guard(mutex_);
  if (is_complete()) return note_late_end(step, index);
  if (step == step_ && is_running_) {
    blocks_[1][index].end = tick(StepAllocator::instance().live_bytes());
  } else if (step == step_) {
    blocks_[1][index].end_of_last = 0;
  } else if (step == step_ - 1 && is_running_) {
    blocks_[0][index].end_of_last = tick(StepAllocator::instance().live_bytes());
  }
}

void AllocationTrace::note_late_end(std::int64_t step, std::size_t index) {
  if (step != step_ || outliving_.erase(index) == 0 || heir_ == nullptr) return;
  heir_->release(static_cast<std::int32_t>(heir_begin_ + index));
}

// A new arena begins as after the plan's last step.
Bytes AllocationTrace::outliving_bytes(const AddressPlan& plan) const {
  std::lock_guard guard(mutex_);
  Bytes bytes = 0;
  for (const std::size_t index : outliving_) {
    if (plan.slots[index].offset != kNoOffset) bytes += plan.slots[index].bytes;
  }
  return bytes;
}

void AllocationTrace::reserve_outliving(const AddressPlan& plan, PlannedArena& arena) {
  std::lock_guard guard(mutex_);
  heir_ = &arena;
  heir_begin_ = plan.slots.size() - blocks_[1].size();
  std::erase_if(outliving_,
                [&](std::size_t index) { return plan.slots[index].offset == kNoOffset; });
  for (const std::size_t index : outliving_) {
    arena.reserve(static_cast<std::int32_t>(heir_begin_ + index));
  }
}

StepTrace AllocationTrace::trace() const {
  StepTrace result{static_cast<Time>(live_bytes_.size()), blocks_[1], live_bytes_};
  for (std::size_t i = 0; i < result.blocks.size(); ++i) {
    TracedBlock& block = result.blocks[i];
    if (!block.end) block.end_of_last = blocks_[0][i].end_of_last;
  }
  return result;
}

void AllocationTrace::copy_data(void* dest, const void* src, std::size_t count) const {
  default_copy_data(dest, src, count);
}

}  // namespace tidemark
