#include "tidemark/plan/cheap_planner.h"

#include "tidemark/plan/recompute_cut.h"

namespace tidemark {

std::vector<Schedule> cheap_schedules(const Problem& problem) {
  const StepGraph& graph = problem.graph();
  std::vector<Schedule> schedules;
  for (bool with_random : {false, true}) {
    std::vector<char> may_run(graph.events.size(), 0);
    for (EventIndex e = 0; e < graph.num_events(); ++e)
      may_run[e] = !is_compute_intensive(graph.events[e]) && (with_random || !graph.events[e].rng);
    schedules.push_back(recompute_once(problem, cut_gaps(problem, may_run)));
  }
  return schedules;
}

}  // namespace tidemark
