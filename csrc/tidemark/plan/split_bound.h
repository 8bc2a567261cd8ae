// The bound of a step split into windows, each with a minimum cut of its own.
//
// A window lasts from inside one moment to inside a later one. What was dropped at the first and is
// wanted before the second is computed again between them, so that the cuts of windows that do not
// overlap (keep_cut.h, for what is wanted up to the window's end) add up. Where activations are all
// that counts, one window is best: what the second could charge, the first does. Where a step
// carries more than the budget from layer to layer, the sums of the gradients of shared weights,
// say, every window pays for them again.
#pragma once

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

// Returns a lower bound on the recomputation of any plan within `budget`, in nanoseconds: 0 if none
// was found. It stops at `enough` and where its work is done.
// REQUIRES: the floor is not above the budget.
TIDEMARK_API Nanoseconds split_bound(const Problem& problem, Bytes budget, Nanoseconds enough);

}  // namespace tidemark
