// SlotChain: the cheapest way to run along a chain with few slots and hand its items out in
// reverse.
//
// Items 1..n are made one from the other, the first from nothing; each takes one of `slots` slots
// while it is there. After the whole chain has run once its items are demanded, the last first. The
// cheapest schedule is persistent, as in Griewank and Walther 2000 (revolve), with costs, slots and
// demands of their own for every item: what is stored stays until it and all beyond it are served.
// (Were it given up before, the lowest item that is stored or served from it could have been stored
// in its place.) So with v_i in a slot and m slots free, serving items i..j costs
//
//   T(i, j, m) = min over i < k <= j: cost(i + 1 .. k) + T(k, j, m - 1) + T(i, k - 1, m)
//
// and only demanded items are ever stored: the items here are those, with what lies between.
//
// Part of the lower bound; not installed as interface.
#pragma once

#include <limits>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"

namespace tidemark {

struct SlotChain {
  struct Item {
    Nanoseconds cost_ns = 0;  // from the item before, over all ops between
    // Slots in all while the first of these ops runs, and the least while one of the others does.
    // Every op needs two, one for what it reads and one for what it makes.
    int first_slots = 0;
    int other_slots = std::numeric_limits<int>::max();
    int demand_slots = 0;  // slots in all when the item is demanded
  };
  int slots = 0;  // no op and no demand has more
  std::vector<Item> items;
};

// Returns what the schedule costs beyond running the chain once; the largest Nanoseconds if there
// is none. O(items^3 * slots) time, O(items^2 * slots) memory.
TIDEMARK_API Nanoseconds least_recompute_ns(const SlotChain& chain);

}  // namespace tidemark
