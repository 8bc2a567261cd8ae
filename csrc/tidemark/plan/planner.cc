#include "tidemark/plan/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <stdexcept>

#include "tidemark/plan/budget_tree.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/policy_run.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/split_bound.h"
#include "tidemark/plan/window_bound.h"
#include "tidemark/plan/wished_plan.h"

namespace tidemark {
namespace {

// What the lower bound says where it proves that there is no plan.
constexpr Nanoseconds kNoPlan = std::numeric_limits<Nanoseconds>::max();

// No search takes as many seconds as this.
constexpr double kEver = 1e9;
// Times what any search may take it can still be counted.
constexpr double kMostEffort = 1e9;

// Where so much of the step's time lies between a plan and its bound, a better bound is looked for.
constexpr double kWideGap = 0.005;

// The caller is told again after this, however long one search takes.
constexpr std::chrono::milliseconds kBetweenTellings{100};

// Ends a search at its time limit or where the caller says so, and stays ended.
class Limit {
 public:
  explicit Limit(const PlanOptions& options)
      : options_(options),
        deadline_(options.time_limit_s > kEver
                      ? Clock::time_point::max()
                      : Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                           std::chrono::duration<double>(options.time_limit_s))) {}

  bool is_over() {
    if (is_over_) return true;
    const Clock::time_point now = Clock::now();
    is_over_ = now >= deadline_;
    if (!is_over_ && now - told_at_ >= kBetweenTellings) tell();
    return is_over_;
  }
  // Told before every search.
  void begin(Bytes budget) {
    progress_ = {.num_searches = num_searches_++, .budget_bytes = budget};
    tell();
  }
  bool was_over() const noexcept { return is_over_; }

 private:
  using Clock = std::chrono::steady_clock;
  void tell() {
    told_at_ = Clock::now();
    if (options_.progress && !options_.progress(progress_)) is_over_ = true;
  }

  const PlanOptions& options_;
  Clock::time_point deadline_;
  Clock::time_point told_at_ = Clock::now();
  Progress progress_;
  int num_searches_ = 0;
  bool is_over_ = false;
};

// Answers questions about one graph; what it learns from one serves the next.
class Planner {
 public:
  Planner(const StepGraph& graph, const PlanOptions& options)
      : problem_(graph),
        options_(options),
        floor_(memory_floor(problem_)),
        bench_(problem_),
        limit_(options_) {
    if (is_tree_policy(options.policy))
      tree_ = std::make_unique<BudgetTree>(bench_, floor_.bytes, core_options());
    else
      run_ = std::make_unique<PolicyRun>(bench_, options_.policy, floor_.bytes,
                                         [this] { return limit_.is_over(); });
  }

  Result<Plan, PlanFailure> plan(Bytes budget);

  Bytes least_feasible_bytes() { return tree_ ? tree_->least_bytes() : run_->least().peak_bytes(); }
  const Problem& problem() const { return problem_; }
  const Floor& floor() const { return floor_; }

 private:
  CoreOptions core_options();
  Plan finish(const Found& found, Bytes budget);
  Nanoseconds bound_within(Bytes budget, Nanoseconds known);
  PlanFailure fail(Bytes budget);
  std::vector<Bytes> fixed_by_category() const;
  std::string least_cost_text(Nanoseconds bound) const;

  Problem problem_;
  PlanOptions options_;
  Floor floor_;
  Workbench bench_;
  Limit limit_;
  std::unique_ptr<BudgetTree> tree_;  // or
  std::unique_ptr<PolicyRun> run_;    // as the policy asks
};

CoreOptions Planner::core_options() {
  return {.effort = options_.effort,
          .with_baselines = options_.policy == "auto",
          .stop = [this] { return limit_.is_over(); },
          .told = [this](Bytes budget) { limit_.begin(budget); }};
}

Plan Planner::finish(const Found& found, Bytes budget) {
  Plan plan = make_plan(problem_, found.candidate.actions, found.policy, budget);
  plan.floor_bytes = floor_.bytes;
  plan.lower_bound_ns = bound_within(budget, plan.recompute_ns);
  if (options_.least_feasible)
    plan.least_feasible_bytes = std::min(least_feasible_bytes(), plan.peak_bytes);
  return plan;
}

// `known` is what the best plan costs, kNoPlan if there is none. Why there is none is looked for
// however late it is: that the step would take twice as long is enough.
Nanoseconds Planner::bound_within(Bytes budget, Nanoseconds known) {
  Nanoseconds bound = bench_.bound().at(budget);
  const Nanoseconds step_ns = problem_.unplanned().step_ns;
  const auto is_near = [&] {
    return bound == kNoPlan ||
           static_cast<double>(known - bound) <= kWideGap * static_cast<double>(step_ns);
  };
  const auto is_done = [&] { return is_near() || limit_.is_over(); };
  if (known == kNoPlan ? !is_near() : !is_done()) {
    const Nanoseconds enough = known == kNoPlan ? step_ns : known;
    bound = std::max(bound, split_bound(problem_, budget, enough));
  }
  if (!is_done()) bound = std::max(bound, bench_.bound().branched(budget, known));
  if (!is_done()) bound = std::max(bound, window_bound(problem_, budget, known));
  return bound;
}

std::vector<Bytes> Planner::fixed_by_category() const {
  const StepGraph& graph = problem_.graph();
  std::vector<Bytes> bytes(kNumCategories, 0);
  std::vector<char> is_counted;
  for (const Value& value : graph.values) {
    const auto holds = [&](const Interval& hold) {
      return hold.begin <= floor_.event && floor_.event < hold.end;
    };
    if (std::ranges::none_of(value.holds, holds)) continue;
    if (static_cast<std::size_t>(value.block) >= is_counted.size())
      is_counted.resize(value.block + 1, 0);
    if (is_counted[value.block]++) continue;
    bytes[static_cast<int>(value.category)] += value.bytes;
  }
  bytes[static_cast<int>(Category::kOther)] += graph.entry.other_bytes;
  return bytes;
}

std::string by_category_text(const std::vector<Bytes>& bytes) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == 0) continue;
    parts.push_back(
        fmt::format("{} {}", to_string(static_cast<Category>(i)), format_bytes(bytes[i])));
  }
  return fmt::format("{}", fmt::join(parts, " + "));
}

std::string Planner::least_cost_text(Nanoseconds bound) const {
  if (bound == kNoPlan) return "";
  const auto step_ns = std::max<Nanoseconds>(1, problem_.unplanned().step_ns);
  return fmt::format("; within the budget it would take at least {:.1f} % longer",
                     100 * static_cast<double>(bound) / static_cast<double>(step_ns));
}

PlanFailure Planner::fail(Bytes budget) {
  PlanFailure failure{.budget_bytes = budget,
                      .floor_bytes = floor_.bytes,
                      .floor_event = floor_.event,
                      .unplanned_peak_bytes = problem_.unplanned().peak_bytes,
                      .lower_bound_ns = kNoPlan,
                      .fixed_by_category = fixed_by_category(),
                      .sentence = {}};
  failure.reason =
      limit_.was_over() ? PlanFailure::Reason::kTimeOut : PlanFailure::Reason::kInfeasible;
  failure.least_feasible_bytes = least_feasible_bytes();
  if (budget >= floor_.bytes) failure.lower_bound_ns = bound_within(budget, kNoPlan);
  const Event& op = problem_.graph().events[floor_.event];
  const std::string place = op.scope.empty() ? op.name : op.name + " in " + op.scope;
  failure.sentence = fmt::format(
      "budget {} ({} bytes) is below the least this step can run in with policy {}, {} ({} bytes); "
      "no plan of any kind goes below {} ({} bytes), set by event {} ({}); unplanned the step "
      "takes {}{}{}\n  fixed there, whatever a plan does: {}",
      format_bytes(budget), budget, options_.policy, format_bytes(failure.least_feasible_bytes),
      failure.least_feasible_bytes, format_bytes(floor_.bytes), floor_.bytes, floor_.event, place,
      format_bytes(failure.unplanned_peak_bytes), least_cost_text(failure.lower_bound_ns),
      failure.reason == PlanFailure::Reason::kTimeOut
          ? "; the time limit ended the search, a longer one may find a plan"
          : "",
      by_category_text(failure.fixed_by_category));
  return failure;
}

Result<Plan, PlanFailure> Planner::plan(Bytes budget) {
  if (budget < floor_.bytes) return fail(budget);
  const Found* found = tree_ ? tree_->best_within(budget) : run_->best_within(budget);
  if (found == nullptr) return fail(budget);
  return finish(*found, budget);
}

void check_options(const PlanOptions& options) {
  if (!is_policy(options.policy))
    throw std::invalid_argument(fmt::format("policy '{}' does not exist; there are {}",
                                            options.policy, fmt::join(policies(), ", ")));
  if (!(options.time_limit_s > 0))
    throw std::invalid_argument(
        fmt::format("time_limit_s is {}, it must be above 0", options.time_limit_s));
  if (!(options.effort > 0) || options.effort > kMostEffort)
    throw std::invalid_argument(fmt::format("effort is {}, it must be above 0 and at most {:.0e}",
                                            options.effort, kMostEffort));
}

void check_budget(Bytes budget) {
  if (budget < 0)
    throw std::invalid_argument(fmt::format("budget is {} bytes, it must not be negative", budget));
}

std::vector<Bytes> even_budgets(Bytes least, Bytes most, int num_points) {
  std::vector<Bytes> budgets;
  budgets.reserve(num_points);
  for (int i = 0; i < num_points; ++i)
    budgets.push_back(i + 1 == num_points ? most : least + (most - least) / (num_points - 1) * i);
  return budgets;
}

}  // namespace

Result<Plan, PlanFailure> plan(const StepGraph& graph, Bytes budget, const PlanOptions& options) {
  check_options(options);
  check_budget(budget);
  if (!options.wishes.is_empty()) return wished_plan(graph, budget, options);
  return Planner(graph, options).plan(budget);
}

Frontier frontier(const StepGraph& graph, std::vector<Bytes> budgets, const PlanOptions& options,
                  int num_points) {
  check_options(options);
  if (num_points < 2)
    throw std::invalid_argument(
        fmt::format("num_points is {}, a frontier has at least 2", num_points));
  std::ranges::for_each(budgets, check_budget);
  const bool has_wishes = !options.wishes.is_empty();
  const StepGraph wished = has_wishes ? with_wishes(graph, options.wishes) : StepGraph();
  Planner planner(has_wishes ? wished : graph, options);
  Frontier frontier{.plans = {},
                    .infeasible = {},
                    .least_feasible_bytes = planner.least_feasible_bytes(),
                    .floor_bytes = planner.floor().bytes,
                    .unplanned_peak_bytes = planner.problem().unplanned().peak_bytes};
  if (budgets.empty())
    budgets =
        even_budgets(frontier.least_feasible_bytes, frontier.unplanned_peak_bytes, num_points);
  std::ranges::sort(budgets);
  for (Bytes budget : budgets) {
    Result<Plan, PlanFailure> answer =
        has_wishes ? wished_plan(graph, budget, options) : planner.plan(budget);
    if (!answer && frontier.plans.empty()) {
      frontier.infeasible.push_back(budget);
      continue;
    }
    // What fits in less fits here too.
    const bool is_last_better =
        !frontier.plans.empty() &&
        (!answer || frontier.plans.back().recompute_ns < answer->recompute_ns);
    Plan plan = is_last_better ? frontier.plans.back() : *answer;
    plan.budget_bytes = budget;
    plan.lower_bound_ns = answer ? answer->lower_bound_ns : answer.failure().lower_bound_ns;
    frontier.plans.push_back(std::move(plan));
  }
  for (const Plan& plan : frontier.plans)
    frontier.least_feasible_bytes = std::min(frontier.least_feasible_bytes, plan.peak_bytes);
  return frontier;
}

}  // namespace tidemark
