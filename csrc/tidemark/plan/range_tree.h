// RangeTree: numbers at points, with range-add, global maximum and range maximum.
//
// A segment tree without push-down: a node holds what was added to all of it, and the maximum below
// it with that included. Every operation is O(log n). Part of the planners.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

namespace tidemark {

class RangeTree {
 public:
  using Number = std::int64_t;
  static constexpr Number kLowest = std::numeric_limits<Number>::min() / 4;

  explicit RangeTree(const std::vector<Number>& numbers)
      : size_(static_cast<int>(std::bit_ceil(std::max<std::size_t>(numbers.size(), 1)))),
        most_(2 * static_cast<std::size_t>(size_), kLowest),
        added_(static_cast<std::size_t>(size_), 0) {
    std::ranges::copy(numbers, most_.begin() + size_);
    for (int node = size_ - 1; node > 0; --node) pull(node);
  }

  // Adds to the points of [begin, end).
  void add(int begin, int end, Number number) {
    if (begin >= end) return;
    int left = begin + size_;
    int right = end + size_;
    const int first = left;
    const int last = right - 1;
    for (; left < right; left /= 2, right /= 2) {
      if (left % 2 == 1) apply(left++, number);
      if (right % 2 == 1) apply(--right, number);
    }
    for (int node = first / 2; node > 0; node /= 2) pull(node);
    for (int node = last / 2; node > 0; node /= 2) pull(node);
  }

  Number most() const noexcept { return most_[1]; }

  // Returns the first point that has the maximum.
  int first_of_most() const noexcept {
    int node = 1;
    while (node < size_) node = 2 * node + (most_[left(node)] >= most_[left(node) + 1] ? 0 : 1);
    return node - size_;
  }

  // Returns the maximum in [begin, end), kLowest if that is empty.
  // REQUIRES: 0 <= begin, end <= the number of points.
  Number most_in(int begin, int end) const {
    if (begin >= end) return kLowest;
    int left = begin + size_;
    int right = end - 1 + size_;
    // The maxima so far, without what was added above the two nodes.
    Number most_left = most_[left];
    Number most_right = most_[right];
    for (; left / 2 != right / 2; left /= 2, right /= 2) {
      if (left % 2 == 0) most_left = std::max(most_left, most_[left + 1]);
      if (right % 2 == 1) most_right = std::max(most_right, most_[right - 1]);
      most_left += added_[left / 2];
      most_right += added_[right / 2];
    }
    Number most = std::max(most_left, most_right);
    for (int node = left / 2; node > 0; node /= 2) most += added_[node];
    return most;
  }

  // Returns the maxima of the tree's nodes at one depth: of equal ranges of points, about
  // `count` of them or as many as there are points.
  void maxima(int count, std::vector<Number>& out) const {
    const int width =
        std::min(static_cast<int>(std::bit_floor(static_cast<unsigned>(count))), size_);
    out.assign(most_.begin() + width, most_.begin() + width + width);
    for (int i = 0; i < width; ++i)
      for (int node = (width + i) / 2; node > 0; node /= 2) out[i] += added_[node];
  }
  // The points per range of maxima(count).
  int stride(int count) const {
    return size_ / std::min(static_cast<int>(std::bit_floor(static_cast<unsigned>(count))), size_);
  }

 private:
  static std::size_t left(int node) noexcept { return 2 * static_cast<std::size_t>(node); }
  void apply(int node, Number number) {
    most_[node] += number;
    if (node < size_) added_[node] += number;
  }
  void pull(int node) {
    most_[node] = std::max(most_[left(node)], most_[left(node) + 1]) + added_[node];
  }

  int size_;
  std::vector<Number> most_;   // of the node's points, what was added to the node included
  std::vector<Number> added_;  // to the node as a whole
};

}  // namespace tidemark
