// torch's activation_memory_budget (torch/_functorch/partitioners.py, choose_saved_values_set).
//
// Values of compute-intensive ops that the minimum cut keeps are items of a 0-1 knapsack: an item's
// worth is the time of its op, its weight the value's bytes, the capacity a share of their sum.
// What the knapsack leaves out may run again, and the minimum cut is taken anew. As published, an
// item knows nothing of its ancestors, and the share is one of saved bytes, not of a peak: so every
// share is tried (theirs go in steps of 5 %), and the cheapest that fits the budget is taken.
#pragma once

#include <cstdint>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

struct KnapsackItem {
  Nanoseconds worth = 0;
  Bytes weight = 0;
};

// Returns per capacity the items to take (indices), by the quantised dynamic program of the
// original (dp_knapsack): weights are rounded up to 1 / 10000 of their sum.
TIDEMARK_API std::vector<std::vector<int>> solve_knapsacks(const std::vector<KnapsackItem>& items,
                                                           const std::vector<Bytes>& capacities);

TIDEMARK_API std::vector<Schedule> knapsack_schedules(const Problem& problem);

}  // namespace tidemark
