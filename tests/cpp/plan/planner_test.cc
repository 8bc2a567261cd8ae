#include "tidemark/plan/planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "base/extent.h"
#include "plan/random_graph.h"
#include "tidemark/generate/generate.h"
#include "tidemark/plan/bound.h"
#include "tidemark/plan/candidate.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/simulate.h"
#include "tidemark/plan/validate.h"

namespace tidemark {
namespace {

using testing::random_graph;

std::string explain(const std::optional<Violation>& violation) {
  return violation ? std::string(to_string(violation->rule)) + ": " + violation->sentence : "valid";
}

class RandomSteps : public ::testing::TestWithParam<std::tuple<int, bool>> {
 protected:
  StepGraph graph(int seed) const {
    return random_graph(seed, {.num_ops = std::get<0>(GetParam()),
                               .with_in_place = std::get<1>(GetParam()),
                               .has_runtime_actions = std::get<1>(GetParam())});
  }
};

TEST_P(RandomSteps, GetPlansThatFitAndThatTheValidatorAccepts) {
  const int num_seeds =
      std::get<1>(GetParam()) ? testing::num_random(60, 170) : testing::num_random(10, 25);
  for (int seed = 0; seed < num_seeds; ++seed) {
    const StepGraph step = graph(seed);
    ASSERT_NO_THROW(check(step)) << seed;
    const Bytes peak = simulate(step).peak_bytes;
    const Bytes floor = memory_floor(step).bytes;
    for (const std::string& policy : policies()) {
      for (int part : {1, 2, 3}) {
        const Bytes budget = floor + (peak - floor) * part / 4;
        const auto answer = plan(step, budget, {.policy = policy});
        if (!answer) {
          EXPECT_GT(answer.failure().least_feasible_bytes, budget);
          EXPECT_GE(answer.failure().least_feasible_bytes, floor);
          continue;
        }
        const auto violation = validate(step, *answer);
        EXPECT_FALSE(violation) << seed << ' ' << policy << ' ' << explain(violation);
        EXPECT_LE(answer->peak_bytes, budget);
        EXPECT_LE(answer->lower_bound_ns, answer->recompute_ns) << seed << ' ' << policy;
        EXPECT_EQ(simulate(step, *answer).peak_bytes, answer->peak_bytes);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, RandomSteps,
                         ::testing::Combine(::testing::Values(6, 12, 24), ::testing::Bool()));

// Whether the value lies in one of the dropped gaps at the event.
bool is_gone(const Problem& problem, const std::vector<int>& dropped, ValueIndex v, EventIndex at) {
  return std::ranges::any_of(dropped, [&](int gap) {
    const auto& [value, time] = problem.gaps()[gap];
    return value == v && time.begin <= at && at <= time.end;
  });
}

// The schedule that drops these gaps: what is missing at the end of one is computed again there.
Schedule schedule_of_gaps(const Problem& problem, const std::vector<int>& dropped) {
  std::map<EventIndex, std::set<EventIndex>> lists;
  for (int gap : dropped) {
    const auto& [value, time] = problem.gaps()[gap];
    std::vector<ValueIndex> missing{value};
    while (!missing.empty()) {
      const EventIndex op = problem.graph().values[missing.back()].producer;
      missing.pop_back();
      if (!lists[time.end].insert(op).second) continue;
      for (ValueIndex v : problem.reads(op)) {
        const bool can_stay =
            !is_gone(problem, dropped, v, time.end) && problem.natural_end(v) > time.end;
        if (!can_stay && problem.can_replay_at(v, time.end)) missing.push_back(v);
      }
    }
  }
  Schedule schedule;
  for (const auto& [at, ops] : lists) schedule.push_back({at, {ops.begin(), ops.end()}});
  return schedule;
}

// The cheapest set of dropped gaps that fits, all sets tried.
std::optional<Nanoseconds> best_of_all_sets(const Problem& problem, Bytes budget) {
  std::optional<Nanoseconds> best;
  const int num_gaps = static_cast<int>(problem.gaps().size());
  for (unsigned set = 0; set < 1U << num_gaps; ++set) {
    std::vector<int> dropped;
    for (int gap = 0; gap < num_gaps; ++gap)
      if (set >> gap & 1U) dropped.push_back(gap);
    const auto candidate = judge(problem, schedule_of_gaps(problem, dropped));
    EXPECT_TRUE(candidate);
    if (!candidate || candidate->simulation.peak_bytes > budget) continue;
    if (!best || candidate->simulation.recompute_ns < *best)
      best = candidate->simulation.recompute_ns;
  }
  return best;
}

TEST(Planner, IsSeldomWorseThanTheBestOfAllSetsOfGaps) {
  int num_cases = 0;
  int num_worse = 0;
  for (int seed = 0; seed < 120; ++seed) {
    const StepGraph step = random_graph(seed, {.num_ops = 7});
    const Problem problem(step);
    if (problem.gaps().size() > 8) continue;
    const Bytes floor = memory_floor(problem).bytes;
    for (int part : {1, 2, 3}) {
      const Bytes budget = floor + (problem.unplanned().peak_bytes - floor) * part / 4;
      const auto best = best_of_all_sets(problem, budget);
      if (!best) continue;
      EXPECT_LE(lower_bound(problem, budget), *best) << seed;
      const auto answer = plan(step, budget);
      ++num_cases;
      num_worse += !answer || answer->recompute_ns > *best;
    }
  }
  EXPECT_GT(num_cases, 90);
  EXPECT_LT(num_worse * 5, num_cases) << num_worse << " of " << num_cases;
}

TEST(Planner, EveryChangedPlanIsRejected) {
  for (int seed = 0; seed < 40; ++seed) {
    const StepGraph step = random_graph(seed, {.num_ops = 14});
    const Bytes floor = memory_floor(step).bytes;
    const auto answer = plan(step, floor + (simulate(step).peak_bytes - floor) / 2);
    if (!answer) continue;
    for (std::size_t list = 0; list < answer->actions.size(); ++list)
      for (std::size_t i = 0; i < answer->actions[list].actions.size(); ++i) {
        if (answer->actions[list].actions[i].kind != ActionKind::kReplay) continue;
        Plan changed = *answer;
        auto& actions = changed.actions[list].actions;
        actions.erase(actions.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_TRUE(validate(step, changed)) << seed;
      }
  }
}

TEST(Planner, IsDeterministic) {
  const StepGraph step = random_graph(3, {.num_ops = 40});
  const Bytes budget = memory_floor(step).bytes * 5 / 4;
  EXPECT_EQ(plan(step, budget), plan(step, budget));
}

TEST(Planner, MoreBudgetNeverCostsMoreTime) {
  constexpr int kParts = 50;
  for (int seed = 0; seed < 12; ++seed) {
    // Above 256 events the range is not divided down to single bytes.
    const StepGraph step = random_graph(seed, {.num_ops = seed < 9 ? 25 : 100});
    const Bytes floor = memory_floor(step).bytes;
    const Bytes range = simulate(step).peak_bytes - floor;
    std::optional<Nanoseconds> last;
    for (int part = 0; part <= kParts; ++part) {
      const auto answer = plan(step, floor + range * part / kParts);
      ASSERT_TRUE(answer || !last) << seed << ' ' << part;
      if (!answer) continue;
      if (last) {
        EXPECT_LE(answer->recompute_ns, *last) << seed << ' ' << part;
      }
      last = answer->recompute_ns;
    }
    EXPECT_EQ(last, 0);
  }
}

TEST(Planner, AnswersForOneBudgetAsForMany) {
  const StepGraph step = random_graph(4, {.num_ops = 60});
  for (const Plan& one : frontier(step, {}, {}, 9).plans)
    EXPECT_EQ(plan(step, one.budget_bytes)->recompute_ns, one.recompute_ns);
}

TEST(Planner, EndsWhereItIsToldToWithTheBestSoFar) {
  const StepGraph step = random_graph(4, {.num_ops = 60});
  const Bytes floor = memory_floor(step).bytes;
  const Bytes budget = floor + (simulate(step).peak_bytes - floor) / 3;
  int last = 0;
  const auto stop_at = [&last](int search) {
    return [&last, search](const Progress& progress) {
      last = progress.num_searches;
      return last < search;
    };
  };
  const auto cut_short = plan(step, budget, {.progress = stop_at(2)});
  EXPECT_EQ(last, 2);
  const auto full = plan(step, budget, {.progress = stop_at(1000)});
  EXPECT_GT(last, 2);
  ASSERT_TRUE(full);
  if (cut_short) {
    EXPECT_LE(cut_short->peak_bytes, budget);
    EXPECT_GE(cut_short->recompute_ns, full->recompute_ns);
  }
}

// Halving the range down to this budget takes four searches.
TEST(Planner, CutShortBeforeItsFirstSearchHasAPlan) {
  const StepGraph step = generate("treelstm32", {.optimizer = Optimizer::kNothing});
  const Bytes budget = simulate(step).peak_bytes / 2;
  const auto cut_short = plan(step, budget, {.progress = [](const Progress&) { return false; }});
  ASSERT_TRUE(cut_short);
  EXPECT_LE(cut_short->peak_bytes, budget);
  EXPECT_FALSE(validate(step, *cut_short));
}

// The eighth search is one of those for the least budget, whose plan is dear.
TEST(Planner, CutShortTakesAPlanThatUsesTheMemoryItMay) {
  const StepGraph step = generate("unet", {.optimizer = Optimizer::kNothing});
  const Bytes floor = memory_floor(step).bytes;
  const PlanOptions cut_short{
      .progress = [](const Progress& progress) { return progress.num_searches < 8; }};
  const auto with_little = plan(step, floor + floor / 25, cut_short);
  const auto with_more = plan(step, floor + floor * 2 / 3, cut_short);
  ASSERT_TRUE(with_little);
  ASSERT_TRUE(with_more);
  EXPECT_LT(with_more->recompute_ns, with_little->recompute_ns / 2);
}

// Halving the range down to a thousandth takes ten searches; each may ask for one end more.
TEST(Planner, LooksForTheLeastBudgetOnlyNearTheFloor) {
  const StepGraph step = random_graph(3, {.num_ops = 200});
  const Bytes floor = memory_floor(step).bytes;
  const Bytes peak = simulate(step).peak_bytes;
  int last = 0;
  const auto count = [&last](const Progress& progress) {
    last = progress.num_searches;
    return true;
  };
  for (int part : {1, 2, 3}) {
    EXPECT_TRUE(plan(step, floor + (peak - floor) * part / 8, {.progress = count})) << part;
    EXPECT_LT(last, 12) << part;
  }
}

TEST(Planner, SaysNoWithTheNearestYes) {
  const StepGraph step = random_graph(5, {.num_ops = 20});
  const auto answer = plan(step, 1);
  ASSERT_FALSE(answer);
  const PlanFailure& failure = answer.failure();
  EXPECT_EQ(failure.reason, PlanFailure::Reason::kInfeasible);
  EXPECT_EQ(failure.floor_bytes, memory_floor(step).bytes);
  EXPECT_FALSE(plan(step, failure.floor_bytes - 1));
  const auto nearest = plan(step, failure.least_feasible_bytes);
  ASSERT_TRUE(nearest);
  EXPECT_FALSE(validate(step, *nearest));
}

TEST(Planner, SaysNoWithWhatAPlanWouldCostAtLeast) {
  int num_between = 0;
  for (int seed = 0; seed < 12; ++seed) {
    const StepGraph step = random_graph(seed, {.num_ops = 30});
    const Bytes floor = memory_floor(step).bytes;
    const auto below = plan(step, floor - 1);
    ASSERT_FALSE(below);
    const Bytes least = below.failure().least_feasible_bytes;
    EXPECT_EQ(below.failure().lower_bound_ns, std::numeric_limits<Nanoseconds>::max());
    if (least == floor) continue;
    const auto between = plan(step, least - 1);
    if (between) continue;
    ++num_between;
    // Less memory cannot cost less.
    EXPECT_GE(between.failure().lower_bound_ns, plan(step, least)->lower_bound_ns) << seed;
  }
  EXPECT_GT(num_between, 3);
}

TEST(Planner, HasAPlanForTheLeastBudgetThatItNames) {
  const PlanOptions options{.time_limit_s = 3600};  // no clock decides, however slow the machine
  for (int seed = 0; seed < 60; ++seed) {
    const StepGraph step = random_graph(seed, {.num_ops = 10 + 2 * seed});
    const auto answer = plan(step, 1, options);
    ASSERT_FALSE(answer);
    EXPECT_TRUE(plan(step, answer.failure().least_feasible_bytes, options)) << seed;
  }
}

TEST(Planner, RefusesUnknownPoliciesAndNegativeBudgets) {
  const StepGraph step = random_graph(1);
  EXPECT_THROW(static_cast<void>(plan(step, 100, {.policy = "magic"})), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(plan(step, -1)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(plan(step, 100, {.time_limit_s = 0})), std::invalid_argument);
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  for (const double effort : {0.0, 1e300, kInfinite})
    EXPECT_THROW(static_cast<void>(plan(step, 100, {.effort = effort})), std::invalid_argument);
}

TEST(Planner, NeverEndsForTimeWithoutALimit) {
  const StepGraph step = random_graph(4, {.num_ops = 60});
  const Bytes floor = memory_floor(step).bytes;
  const Bytes budget = floor + (simulate(step).peak_bytes - floor) / 3;
  const auto usual = plan(step, budget);
  ASSERT_TRUE(usual);
  for (const double seconds : {1e12, std::numeric_limits<double>::infinity()})
    EXPECT_EQ(plan(step, budget, {.time_limit_s = seconds})->recompute_ns, usual->recompute_ns);
}

// Next to the floor the search for the least budget begins in the midst of another.
TEST(Planner, CountsItsSearchesOneByOne) {
  const StepGraph step = generate("unet", {.optimizer = Optimizer::kNothing});
  const Bytes floor = memory_floor(step).bytes;
  int last = -1;
  const auto count = [&last](const Progress& progress) {
    EXPECT_GE(progress.num_searches, last);
    EXPECT_LE(progress.num_searches, last + 1);
    last = progress.num_searches;
    return true;
  };
  EXPECT_TRUE(plan(step, floor + floor / 25, {.progress = count}));
  EXPECT_GT(last, 8);
}

TEST(Frontier, MoreBudgetNeverCostsMoreTime) {
  for (int seed = 0; seed < 25; ++seed) {
    const StepGraph step = random_graph(seed, {.num_ops = 25});
    const Frontier curve = frontier(step);
    ASSERT_FALSE(curve.plans.empty());
    EXPECT_GE(curve.least_feasible_bytes, curve.floor_bytes);
    EXPECT_EQ(curve.plans.back().recompute_ns, 0);
    for (std::size_t i = 0; i < curve.plans.size(); ++i) {
      EXPECT_FALSE(validate(step, curve.plans[i]));
      if (i > 0) {
        EXPECT_LE(curve.plans[i].recompute_ns, curve.plans[i - 1].recompute_ns);
      }
    }
  }
}

}  // namespace
}  // namespace tidemark
