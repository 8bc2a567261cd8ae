// RecomputeCut: which values to keep when some ops may run again for nothing, as a minimum cut.
//
// torch's min-cut partitioner (torch/_functorch/partitioners.py, He and Yu 2023, "Transcending
// runtime-memory tradeoffs in checkpointing by being fusion aware", MLSys) and, with other words,
// MXNet's mirror option (MXNET_BACKWARD_DO_MIRROR): backward's wishes are met by values that are
// kept, at their bytes, or by ops that may run again, at no price. Ops that may not are banned:
// products, convolutions and attention ("compute-intensive"), and what cannot be replayed.
#pragma once

#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

// Returns whether `op` is one of those that torch's partitioner calls compute-intensive.
TIDEMARK_API bool is_compute_intensive(const Event& op);

// Returns the gaps (indices into problem.gaps()) that may be dropped if the values of the cut with
// the fewest bytes are kept. `may_run` says per event whether the op may run again.
TIDEMARK_API std::vector<int> cut_gaps(const Problem& problem, const std::vector<char>& may_run);

// Returns the schedule that drops `gaps` and runs no op again twice: as in a compiled backward
// graph, what is computed again stays to its last use, where it can.
TIDEMARK_API Schedule recompute_once(const Problem& problem, const std::vector<int>& gaps);

}  // namespace tidemark
