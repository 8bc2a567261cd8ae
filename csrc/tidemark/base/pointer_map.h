// PointerMap: a hash table from addresses to small values, for paths that run once per op.
//
// Open addressing with linear probing; erasing shifts back what follows, so that there are no
// tombstones (Knuth, The Art of Computer Programming, volume 3, 6.4, algorithms L and R). At most
// half full. Entries move when it grows: keep no pointer to a value across an insert or an erase.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace tidemark {

template <typename Value>
class PointerMap {
 public:
  std::size_t size() const noexcept { return size_; }

  // Makes room for so many entries at once.
  void reserve(std::size_t size) {
    while (2 * size >= mask_) grow();
  }

  // The value at `key`, or nullptr.
  Value* find(const void* key) noexcept {
    if (slots_.empty()) return nullptr;
    for (std::size_t i = home_of(key);; i = next(i)) {
      if (slots_[i].key == key) return &slots_[i].value;
      if (slots_[i].key == nullptr) return nullptr;
    }
  }
  const Value* find(const void* key) const noexcept {
    return const_cast<PointerMap*>(this)->find(key);
  }

  // Sets the value at `key`, which must not be nullptr.
  Value& insert_or_assign(const void* key, Value value) {
    if (2 * size_ >= mask_) grow();
    std::size_t i = home_of(key);
    while (slots_[i].key != nullptr && slots_[i].key != key) i = next(i);
    if (slots_[i].key == nullptr) ++size_;
    slots_[i] = {key, std::move(value)};
    return slots_[i].value;
  }

  // Removes `key`; returns whether it was there.
  bool erase(const void* key) noexcept {
    if (slots_.empty()) return false;
    std::size_t hole = home_of(key);
    for (; slots_[hole].key != key; hole = next(hole)) {
      if (slots_[hole].key == nullptr) return false;
    }
    for (std::size_t i = next(hole); slots_[i].key != nullptr; i = next(i)) {
      // What probes from behind the hole on stays; everything else may move into it.
      const std::size_t home = home_of(slots_[i].key);
      const bool stays = hole < i ? (hole < home && home <= i) : (hole < home || home <= i);
      if (stays) continue;
      slots_[hole] = std::move(slots_[i]);
      hole = i;
    }
    slots_[hole] = {};
    --size_;
    return true;
  }

  // Calls visit(key, value) for every entry, in no order.
  template <typename Visitor>
  void for_each(Visitor&& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.key != nullptr) visit(slot.key, slot.value);
    }
  }
  template <typename Visitor>
  void for_each(Visitor&& visit) {
    for (Slot& slot : slots_) {
      if (slot.key != nullptr) visit(slot.key, slot.value);
    }
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

  void grow() {
    constexpr std::size_t kFirstSize = 64;
    constexpr int kFirstShift = 58;
    std::vector<Slot> old = std::move(slots_);
    slots_ = std::vector<Slot>(old.empty() ? kFirstSize : 2 * old.size());
    mask_ = slots_.size() - 1;
    shift_ = old.empty() ? kFirstShift : shift_ - 1;
    size_ = 0;
    for (Slot& slot : old) {
      if (slot.key != nullptr) insert_or_assign(slot.key, std::move(slot.value));
    }
  }

  std::vector<Slot> slots_;  // their number is a power of two
  std::size_t mask_ = 0;     // their number less one; 0: there are none
  std::size_t size_ = 0;
  int shift_ = 0;
};

}  // namespace tidemark
