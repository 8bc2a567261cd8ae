#include "tidemark/plan/wished_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/wishes.h"

namespace tidemark {
namespace {

// Dropping more takes room where it comes back.
constexpr std::array<double, 7> kShares{1, 0.97, 0.94, 0.9, 0.85, 0.8, 0.7};
// What a search gets where the time is up already: it answers with what it sees at once.
constexpr double kLeastSeconds = 1e-3;

using Clock = std::chrono::steady_clock;

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

// The best that was come to.
struct Least {
  Bytes bytes = 0;
  Nanoseconds bound_ns = 0;
  bool was_stopped = false;
};

PlanFailure too_large(const StepGraph& graph, Bytes budget, const Least& least,
                      const PlanOptions& options) {
  PlanFailure failure = plan(graph, 0, options).failure();
  failure.budget_bytes = budget;
  failure.least_feasible_bytes = least.bytes;
  failure.lower_bound_ns = least.bound_ns;
  failure.reason =
      least.was_stopped ? PlanFailure::Reason::kTimeOut : PlanFailure::Reason::kInfeasible;
  failure.sentence = fmt::format(
      "budget {} ({} bytes) is below the least this step was brought to with everything computed "
      "again that was asked for, {} ({} bytes): what comes back takes room too{}",
      format_bytes(budget), budget, format_bytes(least.bytes), least.bytes,
      least.was_stopped ? "; the time limit ended the search, a longer one may find a plan" : "");
  return failure;
}

}  // namespace

StepGraph with_wishes(const StepGraph& graph, const Wishes& wishes) {
  const WishedOps ops = find_wished_ops(graph, wishes);
  return with_free_ops(with_kept_ops(graph, ops), ops);
}

Result<Plan, PlanFailure> wished_plan(const StepGraph& graph, Bytes budget,
                                      const PlanOptions& options) {
  const Clock::time_point begin = Clock::now();
  const WishedOps ops = find_wished_ops(graph, options.wishes);
  const StepGraph kept = with_kept_ops(graph, ops);
  const StepGraph free = with_free_ops(kept, ops);
  const Problem problem(kept);
  PlanOptions plain = options;
  plain.wishes = {};
  std::optional<Nanoseconds> bound;
  const Bytes unplanned = problem.unplanned().peak_bytes;
  Least least{.bytes = unplanned};
  for (double share : kShares) {
    const std::chrono::duration<double> passed = Clock::now() - begin;
    least.was_stopped = passed.count() >= options.time_limit_s;
    if (bound && least.was_stopped) break;
    plain.time_limit_s = std::max(options.time_limit_s - passed.count(), kLeastSeconds);
    const auto limit = static_cast<Bytes>(share * static_cast<double>(std::min(budget, unplanned)));
    Result<Plan, PlanFailure> answer = plan(free, share == 1 ? budget : limit, plain);
    if (!answer && !bound) return answer;
    if (!answer) {
      least.was_stopped = answer.failure().reason == PlanFailure::Reason::kTimeOut;
      break;
    }
    if (!bound) bound = answer->lower_bound_ns + cost_of_recomputed_ops(problem, ops);
    const Schedule schedule = with_recomputed_ops(problem, ops, schedule_of(*answer));
    Plan plan = make_plan(problem, emit(problem, schedule), answer->policy, budget);
    least.bytes = std::min(least.bytes, plan.peak_bytes);
    least.bound_ns = *bound;
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
