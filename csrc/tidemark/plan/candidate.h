// Candidate: a schedule with the actions that carry it out and what the simulator says about them.
#pragma once

#include <optional>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/simulate.h"

namespace tidemark {

struct Candidate {
  Schedule schedule;
  std::vector<EventActions> actions;
  Simulation simulation;
};

// Returns the schedule with its simulation, or nothing if it cannot be followed.
TIDEMARK_API std::optional<Candidate> judge(const Problem& problem, Schedule schedule);

// Returns the step as it was recorded: no replays and no actions.
TIDEMARK_API Candidate everything_kept(const Problem& problem);

// Returns whether `a` is the better plan: less recomputation, then fewer replays, then less memory.
TIDEMARK_API bool is_better(const Candidate& a, const Candidate& b);

}  // namespace tidemark
