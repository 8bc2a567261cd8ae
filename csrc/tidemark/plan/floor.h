// The floor: bytes that no plan can go below, and the op that sets them.
//
// At every event the program holds some values whatever is dropped, and the op of the event needs
// its outputs and its workspace besides. The largest such sum is a proven lower bound on the peak
// of any plan. It need not be reachable: restoring a value takes room too (see PlanFailure's least
// feasible budget, which always is).
#pragma once

#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/simulate.h"

namespace tidemark {

struct Floor {
  Bytes bytes = 0;
  EventIndex event = 0;  // the first that needs so much
  bool operator==(const Floor&) const = default;
};

TIDEMARK_API Floor memory_floor(const Problem& problem);
TIDEMARK_API Floor memory_floor(const StepGraph& graph);

// Returns per event the bytes that live there under every plan: all restorable gaps are dropped,
// nothing is replayed, and what autograd's handles keep past the program's last hold is gone. The
// blocks `left_out` are not counted.
TIDEMARK_API std::vector<Reading> pinned_curve(const Problem& problem,
                                               const std::vector<BlockIndex>& left_out = {});

// Returns per event the bytes live there with every gap of problem.gaps() dropped and nothing
// replayed. Values without such a gap stay to the release of their last handle, as they do when a
// plan says nothing about them.
TIDEMARK_API std::vector<Reading> dropped_curve(const Problem& problem);

}  // namespace tidemark
