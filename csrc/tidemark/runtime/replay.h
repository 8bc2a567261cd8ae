// Replay: runs taped ops again, bitwise, and hands back the values that were asked for.
//
// Runs below autograd and autocast, with GradMode and generator state as recorded, the running
// statistics of a training batch norm left out, into fresh storages or, element by element, over a
// temporary that nothing else reads. What it needs beside must be resident; temporaries are freed
// after the last replay of the list that reads them. This is the paragraph "PRICE OF A REPLAY" of
// plan.h, executed.
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

// Whether running `ops` (ascending) leaves every one of `targets` in memory and none of the ops
// lacks an input.
bool can_replay(Tape& tape, const std::vector<std::int32_t>& ops,
                const std::vector<ValueKey>& targets);

// The ops that must run so that all `targets` are resident, ascending; empty if they are.
// Throws c10::Error if one cannot be restored, saying why.
std::vector<std::int32_t> replay_closure(Tape& tape, const std::vector<ValueKey>& targets);

// What values would be recomputed from: their anchors, which are sources and values that cannot be
// recomputed themselves. While its anchors are held, a value can be restored whatever else is
// dropped. Answers are remembered, so ask a new one after the program has run on.
class AnchorSearch {
 public:
  explicit AnchorSearch(Tape& tape) : tape_(tape) {}

  // Returns whether the anchors of `key` are all in memory.
  bool is_recomputable(ValueKey key);
  // REQUIRES: is_recomputable(key).
  std::vector<Ref> anchors(ValueKey key);

 private:
  bool can_start(const TapedOp& op) const;

  Tape& tape_;
  std::unordered_map<ValueKey, bool, ValueKeyHash> known_;
};

}  // namespace tidemark
