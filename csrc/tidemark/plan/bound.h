// A lower bound on recomputation: what no plan within a budget can do without.
//
// At any one event the values that a plan has let go must make up what the step is over the budget
// there, and each of them is computed again later, at no less than its share of its op's cost. The
// cheapest fractional choice at the worst event bounds every plan. The bound ignores that dropped
// values may need dropped ancestors, so it is weak far below the unplanned peak.
#pragma once

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

// Returns the bound, 0 if the step fits as it is. A budget below what any choice of dropped values
// reaches at some event gives the largest Nanoseconds: no plan exists.
TIDEMARK_API Nanoseconds lower_bound(const Problem& problem, Bytes budget);
TIDEMARK_API Nanoseconds lower_bound(const StepGraph& graph, Bytes budget);

}  // namespace tidemark
