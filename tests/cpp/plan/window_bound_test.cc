#include "tidemark/plan/window_bound.h"

#include <gtest/gtest.h>

#include "plan/oracle.h"
#include "plan/random_graph.h"
#include "tidemark/generate/generate.h"
#include "tidemark/plan/bound.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/relaxation.h"

namespace tidemark {
namespace {

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
    ++score.num_cases;
    score.num_higher += bound > lower_bound(problem, budget);
  }
}

TEST(WindowBound, IsNeverAboveTheCheapestPlan) {
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
