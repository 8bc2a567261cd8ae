// ForeignStorages: storages that count against the budget though our allocator did not make them,
// such as parameters older than the budget, or memory of numpy. Each counts once, while it lives.
#pragma once

#include <c10/core/StorageImpl.h>

#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/pointer_map.h"

namespace tidemark {

class ForeignStorages {
 public:
  bool contains(const c10::StorageImpl* storage) const { return index_.find(storage) != nullptr; }
  // Starts to count `storage`. REQUIRES: it is not counted yet.
  void add(c10::StorageImpl* storage, Bytes bytes);
  // Ends counting what is gone, or everything.
  void forget_dead();
  void clear();

 private:
  struct Entry {
    c10::weak_intrusive_ptr<c10::StorageImpl> weak;
    Bytes bytes;
  };
  std::vector<Entry> entries_;
  PointerMap<bool> index_;  // by storage; its address stays taken while the weak reference is held
};

}  // namespace tidemark
