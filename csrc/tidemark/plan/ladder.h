// Ladder: the searches for plans of one step, at a budget asked for and at fixed places below it.
//
// A heuristic may find a dearer plan for more bytes. So the answer for a budget is the cheapest of
// what is found for the budget itself and on the rungs below it, each of which is searched once.
// Going down, this ends where the lower bound says that no plan below can be cheaper than the best
// so far, or when some rungs in turn brought nothing. The places depend on the step alone; near the
// floor, where costs rise steeply, they lie closer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidemark/plan/policies.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

// A plan in the making, and who found it.
struct Found {
  Candidate candidate;
  std::string policy;
};

class Ladder {
 public:
  // The problem must outlive this.
  Ladder(const Problem& problem, std::string_view policy, Search::Clock::time_point deadline);

  // Returns the cheapest plan found within `budget`, or nothing.
  std::optional<Found> best_within(Bytes budget);

  // Returns the plan of the least peak that the policy finds on its way down.
  const Found& least();

  const LowerBound& bound() const noexcept { return bench_.bound(); }
  // Whether the time limit ended a search.
  bool is_late() const noexcept { return is_late_; }

 private:
  struct Rung {
    Bytes budget = 0;
    bool is_looked_at = false;
    std::optional<Found> found;
    std::optional<Nanoseconds> bound;
  };
  Search look(Bytes budget, Effort effort);
  Rung& look_at(Rung& rung);
  Nanoseconds bound_of(Rung& rung);

  const Problem& problem_;
  Workbench bench_;
  std::string policy_;
  Search::Clock::time_point deadline_;
  int patience_;
  bool is_late_ = false;
  std::vector<Rung> rungs_;  // ascending
  std::optional<Found> least_;
};

}  // namespace tidemark
