// cleanup: give room that a schedule leaves unused back to speed.
//
// Every constructor drops more than it must somewhere: it decides early and learns late. For each
// replay, dearest first, the clean-up asks the simulator whether the step still fits without it.
#pragma once

#include <optional>

#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/simulate.h"

namespace tidemark {

// A schedule with what the simulator says about it.
struct Candidate {
  Schedule schedule;
  std::vector<EventActions> actions;
  Simulation simulation;
};

// Returns the schedule with its simulation, or nothing if it cannot be followed.
TIDEMARK_API std::optional<Candidate> judge(const Problem& problem, Schedule schedule);

// Returns whether `a` is the better plan: less recomputation, then less memory.
TIDEMARK_API bool is_better(const Candidate& a, const Candidate& b);

// Removes replays while the peak stays within `budget`; at most `max_trials` simulations.
// REQUIRES: the candidate's peak is within `budget`.
TIDEMARK_API Candidate cleanup(const Problem& problem, Candidate candidate, Bytes budget,
                               int max_trials);

}  // namespace tidemark
