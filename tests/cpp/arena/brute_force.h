// The least height of an instance by trying everything; for up to about eight buffers.
//
// Written from instance.h alone. Some optimal layout has every buffer pushed down as far as it
// goes, and is found by placing buffers one after the other in order of address, each at the lowest
// allowed address that is not below the last one: all orders are tried.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "tidemark/arena/instance.h"
#include "tidemark/arena/layout.h"
#include "tidemark/arena/validate_layout.h"

namespace tidemark::testing {

class BruteForce {
 public:
  explicit BruteForce(const Instance& instance) : instance_(instance) {
    const std::size_t count = instance.buffers.size();
    offsets_.assign(count, 0);
    placed_.assign(count, false);
    for (std::size_t i = 0; i < count; ++i) {
      if (!instance.buffers[i].offset) continue;
      offsets_[i] = *instance.buffers[i].offset;
      placed_[i] = true;
    }
  }

  // Returns the least height, or nothing if the fixed offsets contradict each other.
  std::optional<Bytes> run() {
    for (std::size_t i = 0; i < placed_.size(); ++i) {
      if (placed_[i] && !is_free(i, offsets_[i])) return std::nullopt;
    }
    enough_ = largest_live_sum();
    place(0);
    return best_;
  }

 private:
  Bytes padded(std::size_t i) const {
    const Bytes units = (instance_.buffers[i].size + instance_.alignment - 1) / instance_.alignment;
    return units * instance_.alignment;
  }

  bool is_free(std::size_t i, Bytes offset) const {
    const Buffer& buffer = instance_.buffers[i];
    const Bytes end = offset + padded(i);
    if (offset % instance_.alignment != 0 || offset % buffer.alignment != 0) return false;
    if (instance_.block_limit && padded(i) > 0 &&
        offset / *instance_.block_limit != (end - 1) / *instance_.block_limit) {
      return false;
    }
    for (const AddressRange& range : instance_.forbidden) {
      if (offset < range.end && range.begin < end && range.begin < range.end) return false;
    }
    for (std::size_t j = 0; j < placed_.size(); ++j) {
      const Buffer& other = instance_.buffers[j];
      if (j == i || !placed_[j]) continue;
      if (buffer.begin >= other.end || other.begin >= buffer.end) continue;
      if (offset < offsets_[j] + padded(j) && offsets_[j] < end) return false;
    }
    return true;
  }

  Bytes height() const {
    Bytes highest = 0;
    for (std::size_t i = 0; i < placed_.size(); ++i) {
      if (placed_[i]) highest = std::max(highest, offsets_[i] + padded(i));
    }
    return highest;
  }

  // No layout is lower, so a layout of this height ends the search.
  Bytes largest_live_sum() const {
    Bytes largest = 0;
    for (const Buffer& at : instance_.buffers) {
      Bytes sum = 0;
      for (std::size_t j = 0; j < placed_.size(); ++j) {
        const Buffer& other = instance_.buffers[j];
        if (other.begin <= at.begin && at.begin < other.end) sum += padded(j);
      }
      largest = std::max(largest, sum);
    }
    return largest;
  }

  void place(Bytes least) {
    if (best_ == enough_ || height() >= best_) return;
    bool is_complete = true;
    for (std::size_t i = 0; i < placed_.size(); ++i) {
      if (placed_[i]) continue;
      is_complete = false;
      Bytes offset = least;
      while (!is_free(i, offset)) ++offset;
      offsets_[i] = offset;
      placed_[i] = true;
      place(offset);
      placed_[i] = false;
    }
    if (is_complete) best_ = height();
  }

  const Instance& instance_;
  std::vector<Bytes> offsets_;
  std::vector<bool> placed_;
  Bytes best_ = std::numeric_limits<Bytes>::max();
  Bytes enough_ = 0;
};

}  // namespace tidemark::testing
