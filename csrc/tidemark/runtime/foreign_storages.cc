#include "tidemark/runtime/foreign_storages.h"

#include "tidemark/runtime/step_allocator.h"

namespace tidemark {

void ForeignStorages::add(c10::StorageImpl* storage, Bytes bytes) {
  auto owned = c10::intrusive_ptr<c10::StorageImpl>::reclaim_copy(storage);
  entries_.push_back({c10::weak_intrusive_ptr<c10::StorageImpl>(owned), bytes});
  index_[storage] = true;
  StepAllocator::instance().add_foreign(bytes);
}

void ForeignStorages::forget_dead() {
  for (std::size_t i = 0; i < entries_.size();) {
    if (!entries_[i].weak.expired()) {
      ++i;
      continue;
    }
    StepAllocator::instance().add_foreign(-entries_[i].bytes);
    index_.take(entries_[i].weak._unsafe_get_target());
    entries_[i] = std::move(entries_.back());
    entries_.pop_back();
  }
}

void ForeignStorages::clear() {
  for (const Entry& entry : entries_) StepAllocator::instance().add_foreign(-entry.bytes);
  entries_.clear();
  index_ = {};
}

}  // namespace tidemark
