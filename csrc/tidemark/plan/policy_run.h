// PolicyRun: one published policy on one step, as it was published.
//
// It looks at the budget asked for and nowhere else: what the policy finds there is the answer, and
// more memory may well be slower. For comparison; the core answers through budget_tree.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tidemark/base/export.h"
#include "tidemark/plan/policies.h"

namespace tidemark {

class TIDEMARK_API PolicyRun {
 public:
  // The workbench must outlive this. REQUIRES: is_policy(policy) and not is_tree_policy(policy).
  PolicyRun(Workbench& bench, std::string_view policy, Bytes floor, Stop stop)
      : bench_(bench), policy_(policy), floor_(floor), stop_(std::move(stop)) {}

  // Returns the cheapest plan of the policy within `budget`, or nothing. Valid until the next call.
  const Found* best_within(Bytes budget);

  // Returns the plan of the least peak found by halving. Whether a budget has a plan is not
  // monotone for heuristics, so this is what was found, not where the halving ended.
  const Found& least();

 private:
  std::optional<Found> look(Bytes budget, Effort effort);

  Workbench& bench_;
  std::string policy_;
  Bytes floor_;
  Stop stop_;
  std::optional<Found> best_;
  std::optional<Found> least_;
};

}  // namespace tidemark
