// BudgetTree: the core's plans for all budgets, each between those for less and for more memory.
//
// A heuristic may find a dearer plan for more bytes. Here every answer lies between two others: the
// range from the floor to the unplanned peak is halved again and again around the budget asked for;
// the plan of each half-way budget is searched with the plans of the two ends at hand, is no
// dearer than the one for less memory and no cheaper than the one for more. The half-way budgets
// depend on the step alone, so all budgets share them, and two budgets part only where one of them
// holds a plan that the other cannot: the cost never rises with the budget, by construction. It
// also means that every plan grows out of its neighbours' (budget continuation).
//
// At the very budget asked for, the search goes on from there, and the other policies are asked.
// That closes far more of the gap to the bound than the same work spent half-way does, but by luck
// the plan may become cheaper than those for a little more memory. What is monotone without
// exception is a frontier, where a plan also serves all larger budgets.
//
// A search that is told to stop before the halvings have come near to the budget answers with the
// best of all plans so far, the executor's first for that very budget among them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "tidemark/base/export.h"
#include "tidemark/plan/core_search.h"
#include "tidemark/plan/least_feasible.h"
#include "tidemark/plan/policies.h"

namespace tidemark {

class TIDEMARK_API BudgetTree {
 public:
  // The workbench must outlive this.
  BudgetTree(Workbench& bench, Bytes floor, CoreOptions options);

  // Returns the plan for `budget`, or nothing.
  const Found* best_within(Bytes budget);

  // Returns the least budget that has a plan, or once the search was told to stop the least known.
  Bytes least_bytes();

 private:
  // Two neighbouring answers: budgets from `from` on have `below`, from above's peak on `above`.
  struct Between {
    Bytes from = 0;
    const Found* below = nullptr;
    const Found* above = nullptr;
    int depth = 0;  // halvings so far
  };
  bool can_be_halved(const Between& between) const;
  bool is_near_floor(Bytes budget) const;
  const Found& at_least();
  const Found* cheapest_known(Bytes budget) const;
  const Found* look_between(const Between& between, Bytes budget);
  const Found* halve_down_to(Bytes budget);

  Bytes floor_;
  Bytes range_;
  Nanoseconds step_ns_;
  int num_events_;
  bool is_small_;
  bool is_large_;
  CoreSearch search_;
  LeastFeasible least_;
  Found everything_kept_;
  std::optional<Found> at_least_;
  std::map<Bytes, std::optional<Found>> plans_;    // by half-way budget
  std::map<Bytes, std::optional<Found>> at_once_;  // first plans, by budget asked for
  std::map<Bytes, std::optional<Found>> refined_;  // better plans, likewise
};

}  // namespace tidemark
