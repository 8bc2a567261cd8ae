// plan: from a recorded step and a budget to a Plan, or to the reason why there is none.
//
//   Result<Plan, PlanFailure> answer = plan(graph, gib(6));
//   if (!answer) return report(answer.failure().sentence);
//   run(*answer);
//
// Deterministic: the same graph, budget and options give the same plan, as long as neither the time
// limit nor the caller ends the search; effort is counted in steps, not in seconds. In a frontier
// more budget never gives a slower plan; between single plans of "auto" and "mincut" the last
// refinement may, seldom and by little. Every plan returned has been simulated and is within the
// budget. Pure functions: may be called from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/base/result.h"
#include "tidemark/graph/graph.h"
#include "tidemark/plan/core_search.h"
#include "tidemark/plan/plan.h"
#include "tidemark/plan/policies.h"

namespace tidemark {

// How far planning is.
struct Progress {
  int num_searches = 0;    // begun so far, for the budget asked for and others on the way to it
  Bytes budget_bytes = 0;  // of the one being searched, 0 before the first
};

struct PlanOptions {
  // One of policies(): "auto" tries what all the others know and takes the cheapest plan.
  std::string policy = "auto";
  // Seconds after which no further schedule is tried. Cuts a search short, never a simulation.
  double time_limit_s = 10;
  // What must stay or must be computed again whatever it costs (wishes.h).
  Wishes wishes = {};
  // How hard "auto" and "mincut" look, as a multiple of the usual: time goes up with it, the cost
  // of the plan comes down by less and less.
  double effort = 1;
  // Told before every search and every tenth of a second how far it all is; where it returns false,
  // the search ends with the best plan so far.
  std::function<bool(const Progress&)> progress;
  // Also look for the least budget that has a plan (several times the work of one plan).
  bool least_feasible = false;
};

// Why there is no plan. Every number is also in the sentence.
struct PlanFailure {
  enum class Reason : std::uint8_t {
    kInfeasible,  // no schedule that the policy knows fits
    kTimeOut,     // the time limit came first
  };
  Reason reason = Reason::kInfeasible;
  Bytes budget_bytes = 0;
  Bytes least_feasible_bytes = 0;  // the least budget for which this policy has a plan
  Bytes floor_bytes = 0;           // no plan of any kind goes below this
  EventIndex floor_event = 0;      // the op that sets the floor
  Bytes unplanned_peak_bytes = 0;
  // Whatever plan there were within the budget would compute again for this long at least; the
  // largest Nanoseconds where it is proved that there is none.
  Nanoseconds lower_bound_ns = 0;
  std::vector<Bytes> fixed_by_category;  // pinned at floor_event, by Category
  std::string sentence;
  bool operator==(const PlanFailure&) const = default;
};

// Budget against recomputation.
struct Frontier {
  std::vector<Plan> plans;        // of the feasible budgets, ascending; never slower with more
  std::vector<Bytes> infeasible;  // budgets without a plan, ascending
  Bytes least_feasible_bytes = 0;
  Bytes floor_bytes = 0;
  Bytes unplanned_peak_bytes = 0;
  bool operator==(const Frontier&) const = default;
};

// Returns the best plan that the policy finds for `graph` within `budget` bytes.
// Throws std::invalid_argument for an unknown policy, naming those that exist, for a negative
// budget and for a time limit or an effort that is not positive; an effort is at most 1e9.
TIDEMARK_API Result<Plan, PlanFailure> plan(const StepGraph& graph, Bytes budget,
                                            const PlanOptions& options = {});

// Returns a plan per budget. Without budgets: `num_points` of them, from the least feasible to the
// unplanned peak in equal steps. Throws as plan() does, and for fewer than 2 points.
TIDEMARK_API Frontier frontier(const StepGraph& graph, std::vector<Bytes> budgets = {},
                               const PlanOptions& options = {}, int num_points = 12);

}  // namespace tidemark
