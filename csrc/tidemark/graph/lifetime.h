// Lifetimes: what follows from the holds and handles of a StepGraph, for whoever plans.
//
// Pure facts about the recorded step with every gap kept. What a plan changes about them is the
// simulator's business, and whether a value can be computed again is the planners'.
//
// All functions REQUIRE: check(graph) passes. They are pure and may run in any thread.
#pragma once

#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/graph/graph.h"

namespace tidemark {

// The time between two holds of one value, when only autograd's saved handle wants it: the value
// may leave memory at time.begin and must be back at time.end.
struct Gap {
  ValueIndex value = kNone;
  Interval time;
  bool operator==(const Gap&) const = default;
};

// Returns the number of blocks: one above the highest block index, 0 without values.
TIDEMARK_API BlockIndex num_blocks(const StepGraph& graph);

// Returns per value when its block is live at that version with every gap kept: from production (0
// for a source) to the later of its last hold's end and its last handle's release, or to the event
// that overwrites it if that comes first.
TIDEMARK_API std::vector<Interval> value_lifetimes(const StepGraph& graph);

// Returns per block when it is live with every gap kept: from its first version's production (0 for
// a source's) to the latest hold end or handle release of any version. A block that an op itself
// releases (Event::frees) ends after that op. [0, 0) for a block index without values.
TIDEMARK_API std::vector<Interval> block_lifetimes(const StepGraph& graph);

// A block that the step itself makes, as an allocator sees it with every gap kept.
struct Allocation {
  BlockIndex block = 0;
  ValueIndex value = kNone;  // its first version, which says who made it
  Bytes bytes = 0;
  Interval time;               // to num_events() if it outlives the step
  bool outlives_step = false;  // somebody holds it when the step ends
  bool operator==(const Allocation&) const = default;
};

// Returns the blocks that the step makes, in order of production. A block made and released within
// one event lives through that event.
TIDEMARK_API std::vector<Allocation> allocations(const StepGraph& graph);

// Returns the ops that run with no graph task current, in order: what the runtime counts.
TIDEMARK_API std::vector<EventIndex> forward_ops(const StepGraph& graph);

// Returns the gaps that a plan may drop as far as lifetimes go, sorted by value and time: of
// positive length, of a value that the step produces and (where there are unpacks) saves, whose
// block is saved at no other version, is not overwritten before the gap ends and is not held by the
// cycle collector.
TIDEMARK_API std::vector<Gap> gaps(const StepGraph& graph);

}  // namespace tidemark
