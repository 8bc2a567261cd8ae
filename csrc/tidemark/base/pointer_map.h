// PointerMap: a hash table from addresses to small values, for paths that run once per op.
//
// Open addressing with linear probing; taking out shifts back what follows, so that there are no
// tombstones (Knuth, The Art of Computer Programming, volume 3, 6.4, algorithms L and R). At most
// half full. Entries move when it grows: keep no pointer to a value across operator[] or take().
//
// Not thread-safe.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "tidemark/base/export.h"

namespace tidemark {

template <typename Value>
class PointerMap {
 public:
  std::size_t size() const noexcept { return size_; }

  // Makes room for so many entries at once.
  void reserve(std::size_t size) {
    std::size_t num_slots = std::max(slots_.size(), kFewestSlots);
    while (2 * size >= num_slots - 1) num_slots *= 2;
    if (num_slots > slots_.size()) move_to(num_slots);
  }

  // The value at `key`, or nullptr. Nothing is at nullptr.
  Value* find(const void* key) noexcept {
    if (slots_.empty()) return nullptr;
    for (std::size_t i = home_of(key);; i = next(i)) {
      if (slots_[i].key == nullptr) return nullptr;
      if (slots_[i].key == key) return &slots_[i].value;
    }
  }
  const Value* find(const void* key) const noexcept {
    return const_cast<PointerMap*>(this)->find(key);
  }

  // The value at `key`, which must not be nullptr; a new one if there was none.
  Value& operator[](const void* key) {
    if (2 * size_ >= mask_) move_to(std::max(2 * slots_.size(), kFewestSlots));
    std::size_t i = home_of(key);
    while (slots_[i].key != nullptr && slots_[i].key != key) i = next(i);
    if (slots_[i].key == nullptr) {
      ++size_;
      slots_[i].key = key;
    }
    return slots_[i].value;
  }

  // Removes the value at `key` and returns it, if there was one.
  std::optional<Value> take(const void* key) noexcept {
    if (slots_.empty()) return std::nullopt;
    std::size_t hole = home_of(key);
    for (;; hole = next(hole)) {
      if (slots_[hole].key == nullptr) return std::nullopt;
      if (slots_[hole].key == key) break;
    }
    std::optional<Value> taken = std::move(slots_[hole].value);
    for (std::size_t i = next(hole); slots_[i].key != nullptr; i = next(i)) {
      // What probes from behind the hole on stays; everything else may move into it.
      const std::size_t home = home_of(slots_[i].key);
      if (((i - home) & mask_) < ((i - hole) & mask_)) continue;
      slots_[hole] = std::move(slots_[i]);
      hole = i;
    }
    slots_[hole] = {};
    --size_;
    return taken;
  }

 private:
  struct Slot {
    const void* key = nullptr;
    Value value{};
  };

  // Fibonacci hashing: the low bits of addresses are alike, the product's high bits are not.
  std::size_t home_of(const void* key) const noexcept {
    return (reinterpret_cast<std::uintptr_t>(key) * 0x9e3779b97f4a7c15ull) >> shift_;
  }
  std::size_t next(std::size_t i) const noexcept { return (i + 1) & mask_; }

  // `num_slots`: a power of two.
  TIDEMARK_RARE void move_to(std::size_t num_slots) {
    std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(num_slots));
    mask_ = num_slots - 1;
    shift_ = std::countl_zero(mask_);
    size_ = 0;
    for (Slot& slot : old) {
      if (slot.key != nullptr) (*this)[slot.key] = std::move(slot.value);
    }
  }

  static constexpr std::size_t kFewestSlots = 64;

  std::vector<Slot> slots_;  // their number is a power of two
  std::size_t mask_ = 0;     // their number less one; 0: there are none
  std::size_t size_ = 0;
  int shift_ = 0;
};

}  // namespace tidemark
