// Plans that honour a user's wishes (wishes.h), by any policy.
//
// The ops to keep are pinned and those to recompute cost nothing while the policy plans; what it
// left in memory of the latter is dropped afterwards, at a little less than the budget if need be.
#pragma once

#include "tidemark/base/result.h"
#include "tidemark/graph/graph.h"
#include "tidemark/plan/planner.h"

namespace tidemark {

// Returns the graph that policies plan for such wishes.
// Throws std::invalid_argument for wishes that cannot be honoured, saying why.
TIDEMARK_API StepGraph with_wishes(const StepGraph& graph, const Wishes& wishes);

// Returns the plan for `budget` with options.wishes. plan() of planner.h calls it.
// Throws as with_wishes() does.
TIDEMARK_API Result<Plan, PlanFailure> wished_plan(const StepGraph& graph, Bytes budget,
                                                   const PlanOptions& options);

}  // namespace tidemark
