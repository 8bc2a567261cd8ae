// RecordMap: a PointerMap to records that come and go, for paths that run once per allocation.
//
// The table holds numbers alone, so that looking up touches little memory; a record that comes
// takes the place of the one that went last, which is still in the caches. Records move when the
// map grows: keep no pointer to one across an insert.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "tidemark/base/pointer_map.h"

namespace tidemark {

template <typename Record>
class RecordMap {
 public:
  // REQUIRES: nothing is at `key`, which is not nullptr.
  void insert(const void* key, Record record) {
    if (free_places_.empty()) {
      free_places_.push_back(static_cast<std::int32_t>(records_.size()));
      records_.emplace_back();
      free_places_.reserve(records_.capacity());  // so that take() allocates nothing
    }
    const std::int32_t place = free_places_.back();
    places_[key] = place;
    free_places_.pop_back();
    records_[place] = std::move(record);
  }

  // The record at `key`, or nullptr.
  const Record* find(const void* key) const noexcept {
    const std::int32_t* place = places_.find(key);
    return place == nullptr ? nullptr : &records_[*place];
  }

  // Removes the record at `key` and returns it, if it was there.
  std::optional<Record> take(const void* key) {
    const std::optional<std::int32_t> place = places_.take(key);
    if (!place) return std::nullopt;
    free_places_.push_back(*place);
    return std::move(records_[*place]);
  }

  // Calls visit(record) for every record, in no order.
  template <typename Visitor>
  void for_each(Visitor&& visit) const {
    places_.for_each([&](const void*, std::int32_t place) { visit(records_[place]); });
  }
  template <typename Visitor>
  void for_each(Visitor&& visit) {
    places_.for_each([&](const void*, std::int32_t place) { visit(records_[place]); });
  }

 private:
  PointerMap<std::int32_t> places_;
  std::vector<Record> records_;
  std::vector<std::int32_t> free_places_;  // last in, first out
};

}  // namespace tidemark
