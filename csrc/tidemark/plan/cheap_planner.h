// Dropping what costs nearly nothing: batch norms, activations, sums, casts.
//
// MXNet's MXNET_BACKWARD_DO_MIRROR (Chen et al. 2016, section 4.2, "drop bn-relu") and the default
// of torch's min-cut partitioner: only ops that are not compute-intensive run again, and of what is
// left the fewest bytes are kept (recompute_cut.h). With and without random ops; no budget.
#pragma once

#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

TIDEMARK_API std::vector<Schedule> cheap_schedules(const Problem& problem);

}  // namespace tidemark
