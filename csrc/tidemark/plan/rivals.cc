#include "tidemark/plan/rivals.h"

#include <algorithm>
#include <utility>

#include "tidemark/plan/bptt_planner.h"
#include "tidemark/plan/candidate.h"
#include "tidemark/plan/cheap_planner.h"
#include "tidemark/plan/chen_planner.h"
#include "tidemark/plan/knapsack_planner.h"
#include "tidemark/plan/optimal_segments_planner.h"
#include "tidemark/plan/revolve_planner.h"
#include "tidemark/plan/rockmate_planner.h"
#include "tidemark/plan/rotor_planner.h"
#include "tidemark/plan/segments.h"

namespace tidemark {
namespace {

// Of a schedule that is no plan.
constexpr Bytes kNoPeak = std::numeric_limits<Bytes>::max();

constexpr ReadyPolicy kPolicies[] = {
    {"sqrt", segment_schedules},
    {"chen", chen_schedules},
    {"segments", optimal_segment_schedules},
    {"revolve", revolve_schedules, true},
    {"bptt", bptt_schedules, true},
    {"rotor", rotor_schedules, true},
    {"rockmate", rockmate_schedules, true},
    {"cheap", cheap_schedules},
    {"knapsack", knapsack_schedules},
};

Nanoseconds cost_of(const StepGraph& graph, const Schedule& schedule) {
  Nanoseconds cost = 0;
  for (const ReplayList& list : schedule)
    for (EventIndex op : list.ops) cost += graph.events[op].cost_ns;
  return cost;
}

}  // namespace

std::span<const ReadyPolicy> ready_policies() { return kPolicies; }

const Rival* Rivals::cheapest(const ReadyPolicy& policy, const Question& question) {
  const auto [place, is_new] = rivals_.try_emplace(policy.name);
  std::vector<Rival>& rivals = place->second;
  if (is_new) {
    for (Schedule& schedule : policy.make(problem_)) {
      const Nanoseconds cost = cost_of(problem_.graph(), schedule);
      rivals.push_back({std::move(schedule), cost, std::nullopt});
    }
    std::ranges::stable_sort(rivals, {}, &Rival::cost_ns);
  }
  for (auto rival = std::ranges::lower_bound(rivals, question.least_cost_ns, {}, &Rival::cost_ns);
       rival != rivals.end() && rival->cost_ns < question.below_ns; ++rival) {
    if (peak_of(*rival) <= question.budget) return &*rival;
  }
  return nullptr;
}

Bytes Rivals::peak_of(Rival& rival) const {
  if (rival.peak_bytes) return *rival.peak_bytes;
  const auto candidate = judge(problem_, rival.schedule);
  const Bytes peak = candidate ? candidate->simulation.peak_bytes : kNoPeak;
  rival.peak_bytes = peak;
  return peak;
}

}  // namespace tidemark
