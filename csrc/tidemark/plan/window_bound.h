// The bound of several moments seen together: the linear relaxation of window_model.h.
//
// It begins with few windows and adds the moments at which what its solution keeps does not fit. A
// few moments in the right places prove more than many: with each of them the relaxation finds
// another way to keep a little of everything.
#pragma once

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

// Returns a lower bound on the recomputation of any plan within `budget`, in nanoseconds: 0 if none
// was found, the largest Nanoseconds if there is no plan. It stops at `enough`. For some thousand
// ops it takes a few tenths of a second; many more are not looked at.
// REQUIRES: the floor is not above the budget.
TIDEMARK_API Nanoseconds window_bound(const Problem& problem, Bytes budget, Nanoseconds enough);

}  // namespace tidemark
