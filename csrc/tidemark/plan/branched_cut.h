// The minimum cut at one moment with whole values: branch and bound over which ops run again.
//
// The bound of keep_cut.h is the best over all prices of a byte, so it pays for half of a value
// where half of it would do. Where single values are large, a layer of an LSTM that is one op, say,
// that is much too low. Here the choices are split by whether an op runs again or not, each half
// has a bound of its own (Geoffrion 1974, "Lagrangean relaxation for integer programming"), and the
// half with the lower one is split again.
#pragma once

#include <cstdint>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/keep_cut.h"

namespace tidemark {

// Returns what no choice that holds at most `room` bytes at the moment of `cut` can beat, in
// nanoseconds: `enough` if none beats that or there is none. It stops after `most_cuts` minimum
// cuts with what is proven then.
// REQUIRES: `cut` is one of the same problem.
TIDEMARK_API Nanoseconds branched_bound(const Problem& problem, const KeepCut& cut, Bytes room,
                                        Nanoseconds enough, std::int64_t most_cuts);

}  // namespace tidemark
