// Orders in which to place items: the fixed portfolio, and weighted ones drawn at random.
//
// No order wins everywhere and ties decide as much as keys (on one training graph size-descending
// first fit is 0.8 or 16 % above the bound, by tie-break alone), so several of each are tried. All
// end with the item's index, which does not depend on how an instance's rows were ordered.
//
// Internal to this folder. Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "tidemark/arena/partition.h"
#include "tidemark/arena/placer.h"

namespace tidemark::arena {

using Order = std::vector<std::int32_t>;

// What an order is sorted by, each key descending unless named otherwise.
enum class Key : std::uint8_t {
  kSize,
  kWidth,  // length of life
  kArea,   // size x width
  kEarlyStart,
  kLateStart,
  kLateEnd,
  kEarlyEnd,
  kBreadth,   // largest load of the sections it lives in
  kSections,  // how many it lives in
  kOverlaps,  // how many items share a section with it
};

using Keys = std::array<Key, 3>;  // the first decides, the others break its ties

struct Recipe {
  Keys keys = {};
  Fit fit = Fit::kFirst;
};

// Makes orders of one partition's items.
class TIDEMARK_API Orders {
 public:
  explicit Orders(const Partition& partition);

  // Returns the items sorted by the keys, the first one first.
  Order sorted_by(const Keys& keys) const;

  // Returns the items by falling score log(size) + p log(width) + c contention + q begin, with a
  // little noise; p, c, q are drawn.
  Order drawn(std::mt19937_64& random) const;

  // Returns the items by falling weighted sum of size, width, contention and position, of which
  // some are drawn to count nothing: orders as they suit a search rather than a placer.
  Order drawn_for_search(std::mt19937_64& random) const;

 private:
  double value(Key key, std::int32_t item) const;
  double crowding(std::int32_t item) const;  // contention, as a share of the highest load
  template <typename Score>
  Order by_falling(Score score) const;

  const Partition& partition_;
  std::vector<Bytes> contention_;
  std::vector<std::int32_t> overlaps_;
  Bytes highest_load_ = 1;
};

// The portfolio, the most promising first.
const std::vector<Recipe>& portfolio();

}  // namespace tidemark::arena
