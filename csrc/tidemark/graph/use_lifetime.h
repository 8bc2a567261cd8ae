// Lifetimes from uses alone: a block lives from the op that makes it to the last op that reads it.
//
// What an inference compiler works with (ONNC's liveness analysis), where lifetime.h says what a
// recorded step really held. Views are not values and versions written in place share a block, so
// that a block lives to the last use of any of them; blocks that outlive the step live to its end.
//
// A time is an op's number; unpacks and host allocations count like ops. Intervals are half-open: a
// block that op 3 makes and op 5 reads last lives in [3, 6), and what op 5 makes cannot take its
// place (that would be an in-place op, which the graph says). Pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/graph/graph.h"

namespace tidemark {

// How blocks that no op makes (inputs, weights) come in, and how results go out.
enum class LoadStyle : std::uint8_t {
  kOpsOnly,    // they live from their first use to their last; results end with their last use
  kBeforeUse,  // each is loaded by an op of its own just before its first use, and counts from then
               // on; one more op at the end stores what outlives the step
  kFirst,      // all of them are loaded first, in order of their values; the end is the same
};

struct UseLifetimes {
  std::vector<Interval> blocks;  // by block index; [0, 0) for a block that nothing makes or reads
  EventIndex num_times = 0;      // ops, loads and the store
  bool operator==(const UseLifetimes&) const = default;
};

// REQUIRES: events read and make values that the graph has.
TIDEMARK_API UseLifetimes use_lifetimes(const StepGraph& graph,
                                        LoadStyle style = LoadStyle::kOpsOnly);

}  // namespace tidemark
