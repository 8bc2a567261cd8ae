// Step, the part that counts: what is alive, what was promised, and how the budget gets its room.

#include <algorithm>

#include "tidemark/runtime/busy.h"
#include "tidemark/runtime/eviction.h"
#include "tidemark/runtime/replay.h"
#include "tidemark/runtime/step.h"

namespace tidemark {
namespace {

StepAllocator& allocator() { return StepAllocator::instance(); }

}  // namespace

// Without a tape: every argument is looked at, and nearly always its deleter is enough.
void Step::count_foreign_args(at::ArrayRef<c10::IValue> args) {
  for (const auto& arg : args) {
    visit_tensors(arg, [&](int, const at::Tensor& tensor) {
      if (!is_plain(tensor)) return;
      c10::StorageImpl* storage =
          tensor.unsafeGetTensorImpl()->unsafe_storage().unsafeGetStorageImpl();
      if (!StepAllocator::is_counted(*storage)) count_foreign(storage);
    });
  }
}

void Step::count_foreign_sources() {
  for (; num_blocks_counted_ < tape_.num_blocks(); ++num_blocks_counted_) {
    const TapeBlock& block = tape_.block(num_blocks_counted_);
    if (block.is_source && block.allocation == kNoAllocation) count_foreign(block.original->raw);
  }
  num_sources_counted_ = tape_.num_sources();
}

void Step::count_foreign(c10::StorageImpl* storage) {
  const auto bytes = static_cast<Bytes>(storage->nbytes());
  if (bytes == 0 || foreign_->contains(storage)) return;
  if (is_tight(bytes)) make_room(missing_bytes(bytes));
  foreign_->add(storage, bytes);
  foreign_bytes_ += bytes;
  if (follower_.is_following()) foreign_touches_.push_back({follower_.next_op(), bytes});
  if (is_tight(0)) refuse(0, missing_bytes(0));
}

// The plan's peak counts from the entry on what the recorded step touched first; such a storage
// counts from its touch on.
Bytes Step::promised_bytes() const {
  const PlanScript& script = *follower_.script();
  Bytes promised = script.plan().peak_bytes;
  Bytes touched = 0;
  for (const auto& [num_ops, bytes] : foreign_touches_) {
    touched += bytes;
    promised = std::max(promised, touched + script.peak_from(num_ops));
  }
  return promised - script.entry_bytes() + entry_bytes_;
}

// How far the budget would be passed with `bytes` more; negative: how much is left.
Bytes Step::missing_bytes(Bytes bytes) const {
  return allocator().live_bytes() + bytes - options_.limit;
}

bool Step::is_tight(Bytes bytes) const {
  return options_.limit != kUnlimited && missing_bytes(bytes) > 0;
}

void Step::refuse(Bytes bytes, Bytes missing) {
  exceeded_ =
      BudgetExceededInfo{options_.limit, missing, bytes,
                         watcher_ == nullptr ? "" : watcher_->current_op(), optimizer_had_begun_};
  throw BudgetExceeded(*exceeded_);
}

void Step::make_room(Bytes bytes) {
  if (is_making_room_) return;
  const Bytes enough = allocator().live_bytes() - bytes;
  const Busy making_room(is_making_room_);
  const Busy busy(is_busy_);
  manage_all();
  follower_.note_eviction();
  for (const ValueKey anchor : evict(tape_, bytes)) {
    if (watcher_ != nullptr) watcher_->recorder().refer(anchor);
  }
  give_up_anchors(enough);
}

// Whether it cannot be restored any more, because the budget had no room for what that takes: its
// own anchors, or those of a value it is made from.
bool Step::is_lost(const ValueState& value) {
  return given_up_bytes_ > 0 && !AnchorSearch(tape_).is_recomputable(value.key);
}

// What a plan drops it restores itself, from what it keeps. Only a step that leaves the plan would
// need more, and then it is refused.
void Step::give_up_anchors(Bytes enough) {
  tape_.values().for_each([&](ValueState& value) {
    const Bytes before = allocator().live_bytes();
    if (!value.has_spare_anchors || before <= enough) return;
    value.anchors.clear();
    given_up_bytes_ += before - allocator().live_bytes();
  });
}

void Step::before_allocate(Bytes bytes) {
  if (watcher_ != nullptr && watcher_->current_op().empty()) note_freed_elsewhere();
  if (!is_tight(bytes)) return;
  make_room(missing_bytes(bytes));
  if (is_tight(bytes)) refuse(bytes, missing_bytes(bytes));
}

void Step::after_allocate(AllocationId id, Bytes bytes) {
  if (watcher_ != nullptr && !is_busy_) watcher_->recorder().allocated(id, bytes);
}

// Between events: no op that runs has freed it.
void Step::note_freed_elsewhere() {
  if (watcher_ == nullptr) return;
  for (const LiveBlock& block : allocator().take_freed_elsewhere()) {
    after_free(block.id, block.bytes);
  }
}

void Step::after_free(AllocationId id, Bytes bytes) noexcept {
  if (watcher_ == nullptr) return;
  if (id < first_allocation_) died_of_entry_.push_back(id);
  watcher_->recorder().freed(id, bytes, is_busy_);
}

}  // namespace tidemark
