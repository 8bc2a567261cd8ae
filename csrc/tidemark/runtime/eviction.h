// Eviction: gives saved values back until enough bytes are free, cheapest recomputation per byte
// and staleness first (DTR: Kirisame et al. 2021, "Dynamic Tensor Rematerialization", h_DTR with
// the local cost).
//
// It only releases references: it never replays, allocates tensors or calls Python. Candidates are
// values that nobody but the runtime holds and that can be computed again.
#pragma once

#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/runtime/tape.h"

namespace tidemark {

// Drops values of `tape` until `bytes` are free or nothing is left. What a dropped value is
// recomputed from is held until it is restored; returns what is held as recorded.
std::vector<ValueKey> evict(Tape& tape, Bytes bytes);

// Values that saved tensors want and that are not in memory, if all of them are less than all that
// they would be made from; else none.
std::vector<ValueState*> less_than_their_anchors(Tape& tape);

}  // namespace tidemark
