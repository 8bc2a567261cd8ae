// Replay: runs taped ops again, bitwise, and hands back the values that were asked for.
//
// Runs below autograd and autocast, with GradMode and generator state as recorded, the running
// statistics of a training batch norm left out, into fresh storages. What it needs beside must be
// resident; temporaries are freed after the last replay of the list that reads them. This is the
// paragraph "PRICE OF A REPLAY" of plan.h, executed.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tidemark/runtime/tape.h"

namespace tidemark {

using ValueSet = std::unordered_set<ValueKey, ValueKeyHash>;
using RestoredValues = std::unordered_map<ValueKey, Ref, ValueKeyHash>;

// Runs `ops` (indices on the tape, ascending) and returns those `targets` that are not resident.
// Throws c10::Error naming op and value if an input is missing or a source has changed.
RestoredValues replay(Tape& tape, const std::vector<std::int32_t>& ops, const ValueSet& targets);

// The ops that must run so that all `targets` are resident, ascending; empty if they are.
// Throws c10::Error if one cannot be restored, saying why.
std::vector<std::int32_t> replay_closure(Tape& tape, const std::vector<ValueKey>& targets);

// Returns whether `key` could be restored from its anchors alone.
bool is_recomputable(Tape& tape, ValueKey key);

// References to everything that recomputing `key` starts from: sources and values that cannot be
// recomputed themselves. While they are held, `key` can be restored whatever else is dropped.
std::vector<Ref> recompute_anchors(Tape& tape, ValueKey key);

}  // namespace tidemark
