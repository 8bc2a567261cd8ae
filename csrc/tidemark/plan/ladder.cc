#include "tidemark/plan/ladder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "tidemark/plan/floor.h"

namespace tidemark {
namespace {

// Places are multiples of this part of the range.
constexpr Bytes kParts = 512;
// A rung is this part of its own height above the one below, at most kCoarsest parts.
constexpr Bytes kSteepness = 3;
// Below the first part: the range halved so many times. A few bytes may be one more value.
constexpr std::array<int, 3> kNearFloor{15, 12, 10};
constexpr Bytes kCoarsest = 16;
// Rungs below the best one that are looked at before they are believed to be dearer: as many as
// have so many events in all, within limits.
constexpr int kPatienceEvents = 4'000;
constexpr int kLeastPatience = 2;
constexpr int kMostPatience = 4;

std::vector<Bytes> places(Bytes floor, Bytes top) {
  std::vector<Bytes> budgets{floor};
  for (int halvings : kNearFloor)
    if (const Bytes budget = floor + ((top - floor) >> halvings); budget > budgets.back())
      budgets.push_back(budget);
  for (Bytes part = 1; part < kParts; part += std::clamp<Bytes>(part / kSteepness, 1, kCoarsest))
    budgets.push_back(floor + (top - floor) / kParts * part);
  budgets.push_back(top);
  return budgets;
}

// REQUIRES: the search has found something.
Found found_by(const Search& search) { return {*search.best(), std::string(search.policy())}; }

}  // namespace

Ladder::Ladder(const Problem& problem, std::string_view policy, Search::Clock::time_point deadline)
    : problem_(problem),
      bench_(problem),
      policy_(policy),
      deadline_(deadline),
      patience_(std::clamp(kPatienceEvents / std::max(problem.graph().num_events(), 1),
                           kLeastPatience, kMostPatience)) {
  for (Bytes budget : places(memory_floor(problem).bytes, problem.unplanned().peak_bytes))
    rungs_.push_back({.budget = budget});
}

Search Ladder::look(Bytes budget, Effort effort) {
  Search search(bench_, budget, effort, deadline_);
  if (problem_.unplanned().peak_bytes <= budget)
    search.offer(Schedule{}, policy_ == "auto" ? "keep_all" : std::string_view(policy_));
  else
    tidemark::look(policy_, search);
  is_late_ |= search.is_late();
  return search;
}

Ladder::Rung& Ladder::look_at(Rung& rung) {
  if (std::exchange(rung.is_looked_at, true)) return rung;
  Search search = look(rung.budget, Effort::kFull);
  if (!search.best()) return rung;
  search.polish();
  is_late_ |= search.is_late();
  rung.found = found_by(search);
  return rung;
}

Nanoseconds Ladder::bound_of(Rung& rung) {
  if (!rung.bound) rung.bound = bound().at(rung.budget);
  return *rung.bound;
}

std::optional<Found> Ladder::best_within(Bytes budget) {
  auto index = std::ranges::lower_bound(rungs_, budget, {}, &Rung::budget) - rungs_.begin();
  const bool is_rung = index < std::ssize(rungs_) && rungs_[index].budget == budget;
  Rung own{.budget = budget};
  std::optional<Found> best = look_at(is_rung ? rungs_[index] : own).found;
  int patience = patience_;
  const auto consider = [&](const Found& found) {
    if (found.candidate.simulation.peak_bytes > budget) return;
    if (best && !is_better(found.candidate, best->candidate)) return;
    best = found;
    patience = patience_;
  };
  while (--index >= 0) {
    // Nothing below this rung is within more than its budget.
    if (best && bound_of(rungs_[index]) >= best->candidate.simulation.recompute_ns) break;
    const Rung& rung = look_at(rungs_[index]);
    consider(rung.found ? *rung.found : least());
    if (best && --patience == 0) break;
  }
  if (!best) consider(least());
  return best;
}

// Bisects. Whether a budget has a plan is not monotone for heuristics, so the answer is what was
// found, not where the bisection ended.
const Found& Ladder::least() {
  if (least_) return *least_;
  Bytes low = rungs_.front().budget;
  const Bytes resolution = std::max<Bytes>(1, (rungs_.back().budget - low) / kParts);
  least_ = found_by(look(rungs_.back().budget, Effort::kQuick));
  while (least_->candidate.simulation.peak_bytes - low > resolution) {
    const Bytes high = least_->candidate.simulation.peak_bytes;
    const Bytes middle = low + (high - low) / 2;
    const Search search = look(middle, Effort::kQuick);
    if (search.best() && search.best()->simulation.peak_bytes < high)
      least_ = found_by(search);
    else
      low = middle;
  }
  return *least_;
}

}  // namespace tidemark
