#include "tidemark/plan/candidate.h"

#include <stdexcept>
#include <utility>

namespace tidemark {

std::optional<Candidate> judge(const Problem& problem, Schedule schedule) {
  Candidate candidate;
  candidate.actions = emit(problem, schedule);
  candidate.schedule = std::move(schedule);
  try {
    candidate.simulation = simulate(problem.graph(), candidate.actions);
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
  return candidate;
}

Candidate everything_kept(const Problem& problem) {
  return {.schedule = {}, .actions = {}, .simulation = problem.unplanned()};
}

bool is_better(const Candidate& a, const Candidate& b) {
  const Simulation& left = a.simulation;
  const Simulation& right = b.simulation;
  if (left.recompute_ns != right.recompute_ns) return left.recompute_ns < right.recompute_ns;
  if (left.num_replays != right.num_replays) return left.num_replays < right.num_replays;
  return left.peak_bytes < right.peak_bytes;
}

}  // namespace tidemark
