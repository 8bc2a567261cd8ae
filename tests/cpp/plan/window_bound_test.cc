#include "tidemark/plan/window_bound.h"

#include <gtest/gtest.h>

#include "plan/chain.h"
#include "plan/oracle.h"
#include "plan/random_graph.h"
#include "tidemark/generate/generate.h"
#include "tidemark/plan/bound.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/relaxation.h"
#include "tidemark/plan/split_bound.h"

namespace tidemark {
namespace {

using testing::made;
using testing::op;
using testing::Oracle;
using testing::random_graph;

constexpr Nanoseconds kEndless = std::numeric_limits<Nanoseconds>::max();

// Two of three goods have to be paid for, the dearest in part only.
TEST(Relaxation, FindsTheLeastCostFromBelow) {
  Milp milp;
  for (double cost : {100.0, 300.0, 500.0}) milp.add_column(cost, true);
  milp.add_row({{0, -1}, {1, -1}, {2, -1}}, -2);
  milp.add_row({{0, 1}, {1, 2}}, 2);

  const Relaxation found = relax(milp, 2000);

  // All of the first, half of the second, half of the third.
  EXPECT_LE(found.least, 500);
  EXPECT_NEAR(found.least, 500, 1);
  EXPECT_NEAR(found.solution[0], 1, 0.01);
  EXPECT_NEAR(found.solution[1], 0.5, 0.01);
}

TEST(Relaxation, ProvesNothingWrongWithoutIterations) {
  Milp milp;
  milp.add_column(7, true);
  milp.add_row({{0, -1}}, -1);
  EXPECT_EQ(relax(milp, 0).least, 0);
}

struct Score {
  int num_cases = 0;
  int num_higher = 0;  // than the cut
};

void compare(const StepGraph& step, Score& score) {
  const Problem problem(step);
  Oracle oracle(problem);
  if (!oracle.is_small()) return;
  const Bytes floor = memory_floor(problem).bytes;
  const Bytes peak = problem.unplanned().peak_bytes;
  for (int part = 0; part < 4; ++part) {
    const Bytes budget = floor + (peak - floor) * part / 4;
    const auto best = oracle.least_recompute(budget);
    if (!best) continue;
    const Nanoseconds bound = window_bound(problem, budget, kEndless);
    EXPECT_LE(bound, *best) << "budget " << budget;
    EXPECT_LE(split_bound(problem, budget, kEndless), *best) << "budget " << budget;
    ++score.num_cases;
    score.num_higher += bound > lower_bound(problem, budget);
  }
}

TEST(WindowBound, IsNeverAboveTheCheapestPlanNorIsTheSplitBound) {
  Score score;
  for (int seed = 0; seed < 200; ++seed) {
    compare(random_graph(seed, {.num_ops = 3 + seed % 2}), score);
    compare(
        random_graph(seed, {.num_ops = 3, .with_in_place = false, .has_runtime_actions = false}),
        score);
  }
  EXPECT_GT(score.num_cases, 700);
  EXPECT_GT(score.num_higher, 0);
}

// A chain of ops, as backward is one, and sums over what each gives, all of 100 bytes. A value is
// held where it is used, so that a plan may drop it in between.
StepGraph carried_sums(int num_layers, int num_sums) {
  StepGraph step;
  step.has_runtime_actions = false;
  const auto add = [&](std::vector<ValueIndex> reads) {
    const EventIndex event = step.num_events();
    for (ValueIndex v : reads) step.values[v].holds.push_back({event, event + 1});
    const ValueIndex result = step.num_values();
    step.values.push_back(made(result, 100, event, {{event, event + 1}}));
    step.events.push_back(op("op", Phase::kForward, std::move(reads), {result}));
    return result;
  };
  ValueIndex flow = add({});
  std::vector<ValueIndex> sums;
  for (int sum = 0; sum < num_sums; ++sum) sums.push_back(add({flow}));
  for (int layer = 1; layer < num_layers; ++layer) {
    flow = add({flow});
    for (ValueIndex& sum : sums) sum = add({sum, flow});
  }
  return step;
}

TEST(SplitBound, ChargesWhatIsCarriedFromLayerToLayerInEveryLayer) {
  const StepGraph step = carried_sums(3, 2);
  const Problem problem(step);
  Oracle oracle(problem);
  ASSERT_TRUE(oracle.is_small());
  int num_higher = 0;
  for (Bytes budget = memory_floor(problem).bytes; budget < problem.unplanned().peak_bytes;
       budget += 50) {
    const auto best = oracle.least_recompute(budget);
    const Nanoseconds bound = split_bound(problem, budget, kEndless);
    if (best) {
      EXPECT_LE(bound, *best) << "budget " << budget;
    }
    num_higher += bound > lower_bound(problem, budget);
  }
  EXPECT_GT(num_higher, 0);
}

TEST(SplitBound, ProvesThatSumsThatDoNotFitTakeManySteps) {
  const StepGraph step = carried_sums(64, 8);
  const Problem problem(step);
  const Bytes budget = 600;

  EXPECT_LT(lower_bound(problem, budget), problem.unplanned().step_ns);
  EXPECT_GT(split_bound(problem, budget, kEndless), 4 * problem.unplanned().step_ns);
  EXPECT_EQ(split_bound(problem, problem.unplanned().peak_bytes, kEndless), 0);
}

TEST(WindowBound, SeesThatTheLastPartOfAStepTakesTheRoomOfTheOneBefore) {
  const StepGraph step = generate("unet", {.optimizer = Optimizer::kNothing});
  const Problem problem(step);
  const Bytes budget = problem.unplanned().peak_bytes * 3 / 10;

  const Nanoseconds bound = window_bound(problem, budget, kEndless);

  EXPECT_GT(bound, lower_bound(problem, budget) * 5 / 4);
  EXPECT_EQ(bound, window_bound(problem, budget, kEndless));
  EXPECT_EQ(window_bound(problem, problem.unplanned().peak_bytes, kEndless), 0);
}

}  // namespace
}  // namespace tidemark
