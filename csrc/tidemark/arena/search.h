// Search: is there a placement no higher than a capacity? Exact, by canonical branch and bound.
//
// M. D. Moffitt, "MiniMalloc: A Lightweight Memory Allocator for Hardware-Accelerated Machine
// Learning", ASPLOS 2023, with an explicit stack, so that a search can be paused and several, each
// with its own order of items, raced against each other: run times are heavy-tailed.
//
// A layout can be pushed down until every item rests on another, on an obstacle or on the ground,
// and then be built by placing items in order of offset, each at the lowest address that its placed
// neighbours leave. The search goes through such orders only ("canonical": ties by the given
// order). It turns back where
//   - an item would lie above another unplaced one that fits wholly below it (dominance),
//   - the unplaced items of a section do not fit above what is placed there (section inference; an
//     item also cannot begin below its own lowest address),
// and where the unplaced items fall apart into groups that share no section, it solves the groups
// one by one: a group without solution turns back to where it split off.
//
// Internal to this folder. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tidemark/arena/orders.h"
#include "tidemark/arena/partition.h"

namespace tidemark::arena {

enum class SearchState : std::uint8_t {
  kRunning,
  kFound,
  kExhausted,  // proven: nothing fits
};

class TIDEMARK_API Search {
 public:
  // REQUIRES: `partition` outlives this; `order` names every item once.
  Search(const Partition& partition, const Order& order, Bytes capacity);
  ~Search();
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

  // Goes on for about `work` elementary steps. Returns where that led.
  SearchState run(std::int64_t work);

  SearchState state() const;
  std::int64_t work() const;

  // Returns what was found. REQUIRES: state() == kFound.
  Placement placement() const;

 private:
  class Tree;
  std::unique_ptr<Tree> tree_;
};

}  // namespace tidemark::arena
