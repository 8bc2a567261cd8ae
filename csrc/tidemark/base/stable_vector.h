// StableVector: a sequence that only grows, whose elements never move.
//
// Elements lie in chunks taken from a memory resource; an index is a shift and a mask away. What
// std::deque promises, without its divisions and 512-byte nodes.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <utility>
#include <vector>

#include "tidemark/base/export.h"

namespace tidemark {

template <typename T>
class StableVector {
 public:
  // `memory` must outlive it.
  explicit StableVector(std::pmr::memory_resource* memory) : memory_(memory) {}
  StableVector(const StableVector&) = delete;
  StableVector& operator=(const StableVector&) = delete;
  ~StableVector() {
    for (std::size_t i = 0; i < size_; ++i) std::destroy_at(&(*this)[i]);
    for (T* chunk : chunks_) memory_->deallocate(chunk, kChunkSize * sizeof(T), alignof(T));
  }

  std::size_t size() const noexcept { return size_; }
  T& operator[](std::size_t i) noexcept { return chunks_[i >> kShift][i & (kChunkSize - 1)]; }
  const T& operator[](std::size_t i) const noexcept {
    return chunks_[i >> kShift][i & (kChunkSize - 1)];
  }

  template <typename... Args>
  T& emplace_back(Args&&... args) {
    if (size_ == chunks_.size() * kChunkSize) add_chunk();
    T& element = *std::construct_at(&(*this)[size_], std::forward<Args>(args)...);
    ++size_;
    return element;
  }

  // Calls visit(element) for every element, in order; elements added meanwhile included.
  template <typename Visitor>
  void for_each(Visitor&& visit) {
    for (std::size_t i = 0; i < size_; ++i) visit((*this)[i]);
  }

 private:
  TIDEMARK_RARE void add_chunk() {
    chunks_.push_back(static_cast<T*>(memory_->allocate(kChunkSize * sizeof(T), alignof(T))));
  }

  static constexpr int kShift = 5;
  static constexpr std::size_t kChunkSize = std::size_t{1} << kShift;

  std::pmr::memory_resource* memory_;
  std::vector<T*> chunks_;
  std::size_t size_ = 0;
};

}  // namespace tidemark
