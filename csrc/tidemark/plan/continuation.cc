#include "tidemark/plan/continuation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tidemark/plan/ruin.h"

namespace tidemark {
namespace {

// The first step divides the budget by so much, and the least that is tried.
constexpr double kStep = 1.04;
constexpr double kLeastStep = 1.003;
constexpr int kCutsPerCleanUp = 8;
// Part of the work that is left which improves schedules, over the steps to come and one more.
constexpr double kImproving = 0.5;

double steps_between(Bytes from, Bytes to) {
  return std::log(static_cast<double>(from) / static_cast<double>(std::max<Bytes>(to, 1))) /
         std::log(kStep);
}

}  // namespace

void Continuation::begin_with(const Schedule& schedule, Bytes peak_bytes, Nanoseconds cost_ns) {
  const Rung* known = cheapest_within(peak_bytes);
  if (known == nullptr || known->cost_ns > cost_ns) rungs_[peak_bytes] = {schedule, cost_ns};
}

const Continuation::Rung* Continuation::cheapest_within(Bytes budget) const {
  const Rung* best = nullptr;
  for (auto rung = rungs_.begin(); rung != rungs_.end() && rung->first <= budget; ++rung)
    if (best == nullptr || rung->second.cost_ns <= best->cost_ns) best = &rung->second;
  return best;
}

Bytes Continuation::remember() {
  const Bytes peak = residency_.peak_bytes();
  begin_with(residency_.schedule(), peak, residency_.cost_ns());
  return peak;
}

// Mends the schedule for less memory, in two ways, of which the cheaper stays. Changes nothing and
// returns false if neither leads there.
bool Continuation::tighten(Bytes budget, std::int64_t most_work) {
  const Schedule before = residency_.schedule();
  Schedule best = before;
  Nanoseconds best_ns = -1;
  for (int cuts_per_clean_up : {0, kCutsPerCleanUp}) {
    residency_.load(before);
    if (!repair_.fit(
            {.budget = budget, .most_work = most_work, .cuts_per_clean_up = cuts_per_clean_up}))
      continue;
    repair_.clean_up(budget, 0, most_work);
    if (best_ns >= 0 && residency_.cost_ns() >= best_ns) continue;
    best_ns = residency_.cost_ns();
    best = residency_.schedule();
  }
  residency_.load(best);
  return best_ns >= 0;
}

// Goes down from the lowest rung.
void Continuation::descend(const Options& options) {
  Bytes at = rungs_.begin()->first;
  residency_.load(rungs_.begin()->second.schedule);
  const std::int64_t begin = residency_.work();
  double step = kStep;
  while (at > options.budget && at != stuck_at_ && !(options.stop && options.stop())) {
    const auto left = static_cast<double>(options.work - (residency_.work() - begin));
    if (left <= 0) return;
    const double share = kImproving / (steps_between(at, options.budget) + 2);
    Ruin(residency_)
        .run({.budget = at, .work = static_cast<std::int64_t>(share * left), .stop = options.stop});
    remember();
    const auto next = static_cast<Bytes>(static_cast<double>(at) / step);
    if (tighten(std::max(options.budget, next), options.repair_work))
      at = remember();
    else
      step = std::sqrt(step);
    if (step < kLeastStep) stuck_at_ = at;
  }
}

const Continuation::Rung* Continuation::reach(const Options& options) {
  if (!rungs_.empty() && rungs_.begin()->first > options.budget) descend(options);
  return cheapest_within(options.budget);
}

}  // namespace tidemark
