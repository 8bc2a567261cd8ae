// RecordMap: a hash table from addresses to records that come and go, for paths that run once per
// allocation.
//
// Chained: the links lie in the records, and a record that comes takes the place of the one that
// went last, which is still in the caches. At most as many records as chains. Records move when the
// map grows: keep no pointer to one across an insert.
//
// Not thread-safe.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "tidemark/base/export.h"

namespace tidemark {

template <typename Record>
class RecordMap {
 public:
  // REQUIRES: nothing is at `key`, which is not nullptr.
  void insert(const void* key, Record record) {
    if (first_free_ == kNoPlace) grow();
    const std::int32_t place = first_free_;
    Entry& entry = entries_[place];
    first_free_ = entry.next;
    std::int32_t& first = firsts_[chain_of(key)];
    entry = {key, first, std::move(record)};
    first = place;
  }

  // The record at `key`, or nullptr.
  const Record* find(const void* key) const noexcept {
    if (entries_.empty()) return nullptr;
    std::int32_t place = firsts_[chain_of(key)];
    while (place != kNoPlace && entries_[place].key != key) place = entries_[place].next;
    return place == kNoPlace ? nullptr : &entries_[place].record;
  }

  // Removes the record at `key`. Returns it, until the next insert, or nullptr if nothing was
  // there.
  Record* take(const void* key) noexcept {
    if (entries_.empty()) return nullptr;
    std::int32_t* link = &firsts_[chain_of(key)];
    while (*link != kNoPlace && entries_[*link].key != key) link = &entries_[*link].next;
    if (*link == kNoPlace) return nullptr;
    Entry& entry = entries_[*link];
    entry.key = nullptr;
    first_free_ = std::exchange(*link, std::exchange(entry.next, first_free_));
    return &entry.record;
  }

  // Calls visit(record) for every record, in no order.
  template <typename Visitor>
  void for_each(Visitor&& visit) const {
    for (const Entry& entry : entries_) {
      if (entry.key != nullptr) visit(entry.record);
    }
  }
  template <typename Visitor>
  void for_each(Visitor&& visit) {
    for (Entry& entry : entries_) {
      if (entry.key != nullptr) visit(entry.record);
    }
  }

 private:
  static constexpr std::int32_t kNoPlace = -1;
  static constexpr std::size_t kFewestEntries = 64;

  struct Entry {
    const void* key = nullptr;     // nullptr: free
    std::int32_t next = kNoPlace;  // in its chain, or among the free ones
    Record record{};
  };

  // Fibonacci hashing: the low bits of addresses are alike, the product's high bits are not.
  std::size_t chain_of(const void* key) const noexcept {
    return (reinterpret_cast<std::uintptr_t>(key) * 0x9e3779b97f4a7c15ull) >> shift_;
  }

  // REQUIRES: no entry is free.
  TIDEMARK_RARE void grow() {
    const std::size_t num_before = entries_.size();
    const std::size_t num_entries = std::max(2 * num_before, kFewestEntries);
    std::vector<std::int32_t> firsts(num_entries, kNoPlace);
    entries_.resize(num_entries);
    firsts_ = std::move(firsts);
    shift_ = std::countl_zero(num_entries - 1);
    for (std::size_t i = num_entries; i-- > 0;) {
      Entry& entry = entries_[i];
      std::int32_t& first = i < num_before ? firsts_[chain_of(entry.key)] : first_free_;
      entry.next = std::exchange(first, static_cast<std::int32_t>(i));
    }
  }

  std::vector<Entry> entries_;
  std::vector<std::int32_t> firsts_;  // of each chain; as many as entries, a power of two
  std::int32_t first_free_ = kNoPlace;
  int shift_ = 0;
};

}  // namespace tidemark
