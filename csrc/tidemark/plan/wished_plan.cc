#include "tidemark/plan/wished_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/wishes.h"

namespace tidemark {
namespace {

// Dropping more takes room where it comes back.
constexpr std::array<double, 7> kShares{1, 0.97, 0.94, 0.9, 0.85, 0.8, 0.7};

Schedule schedule_of(const Plan& plan) {
  Schedule schedule;
  for (const EventActions& at : plan.actions) {
    ReplayList list{.event = at.event, .ops = {}};
    for (const Action& action : at.actions)
      if (action.kind == ActionKind::kReplay) list.ops.push_back(action.target);
    if (!list.ops.empty()) schedule.push_back(std::move(list));
  }
  return schedule;
}

PlanFailure too_large(const StepGraph& graph, Bytes budget, Bytes least,
                      const PlanOptions& options) {
  PlanFailure failure = plan(graph, 0, options).failure();
  failure.budget_bytes = budget;
  failure.least_feasible_bytes = least;
  failure.sentence = fmt::format(
      "budget {} ({} bytes) is below the least this step was brought to with everything computed "
      "again that was asked for, {} ({} bytes): what comes back takes room too",
      format_bytes(budget), budget, format_bytes(least), least);
  return failure;
}

}  // namespace

Result<Plan, PlanFailure> wished_plan(const StepGraph& graph, Bytes budget,
                                      const PlanOptions& options) {
  const WishedOps ops = find_wished_ops(graph, options.wishes);
  const StepGraph kept = with_kept_ops(graph, ops);
  const StepGraph free = with_free_ops(kept, ops);
  const Problem problem(kept);
  PlanOptions plain = options;
  plain.wishes = {};
  std::optional<Nanoseconds> bound;
  Bytes least = problem.unplanned().peak_bytes;
  for (double share : kShares) {
    const auto limit = static_cast<Bytes>(share * static_cast<double>(budget));
    Result<Plan, PlanFailure> answer = plan(free, limit, plain);
    if (!answer && !bound) return answer;
    if (!answer) break;
    if (!bound) bound = answer->lower_bound_ns + cost_of_recomputed_ops(problem, ops);
    const Schedule schedule = with_recomputed_ops(problem, ops, schedule_of(*answer));
    Plan plan = make_plan(problem, emit(problem, schedule), answer->policy, budget);
    least = std::min(least, plan.peak_bytes);
    if (plan.peak_bytes > budget) continue;
    plan.floor_bytes = answer->floor_bytes;
    plan.lower_bound_ns = *bound;
    plan.least_feasible_bytes = answer->least_feasible_bytes;
    plan.wishes = options.wishes;
    return plan;
  }
  return too_large(free, budget, least, plain);
}

}  // namespace tidemark
