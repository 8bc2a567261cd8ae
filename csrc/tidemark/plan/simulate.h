// simulate: the bytes live at every event of a step that follows a plan.
//
// The single source of truth about memory: exact, O(events + actions), and the same sum that a
// counter in the allocator measures. Every planner is judged by it; no planner has its own idea of
// memory. plan.h says what an action means and what a replay costs; this is that text in code.
//
// It does not judge whether a plan is a sensible or even a legal one: validate.h does. It refuses
// only what has no curve: a replay with a missing input, a keep or an unpack of a value that is
// nowhere, ids out of range.
#pragma once

#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/graph/graph.h"
#include "tidemark/plan/plan.h"

namespace tidemark {

// What a counter of live bytes reads around one event.
struct Reading {
  Bytes before = 0;  // after everything released since the last event is gone
  Bytes peak = 0;    // the highest inside the event, its workspace and its replays included
  Bytes after = 0;
  bool operator==(const Reading&) const = default;
};

struct Simulation {
  std::vector<Reading> curve;  // one per event
  Bytes peak_bytes = 0;
  EventIndex peak_event = 0;     // the first event that reaches it
  Nanoseconds recompute_ns = 0;  // recorded cost of the replayed ops
  Nanoseconds step_ns = 0;       // recorded cost of the step's own ops
  std::int64_t num_replays = 0;
  std::int64_t num_clones = 0;  // written inputs that a replay had to copy first
  bool operator==(const Simulation&) const = default;
};

// Returns the curve of `graph` under `plan` (only plan.actions are read).
// Throws std::invalid_argument naming event and value when the plan asks for the impossible.
TIDEMARK_API Simulation simulate(const StepGraph& graph, const Plan& plan);
TIDEMARK_API Simulation simulate(const StepGraph& graph, const std::vector<EventActions>& actions);

// Returns the curve with every gap kept: what the recorded step itself did.
TIDEMARK_API Simulation simulate(const StepGraph& graph);

}  // namespace tidemark
