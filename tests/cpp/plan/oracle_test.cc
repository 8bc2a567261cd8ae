#include "plan/oracle.h"

#include <gtest/gtest.h>

#include "plan/random_graph.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/planner.h"

namespace tidemark {
namespace {

using testing::Oracle;
using testing::random_graph;

struct Score {
  int num_cases = 0;
  int num_optimal = 0;
  int num_missed = 0;  // where there is a plan and auto has none
};

void compare(const StepGraph& step, int seed, Score& score) {
  const Problem problem(step);
  Oracle oracle(problem);
  if (!oracle.is_small()) return;
  const Bytes floor = memory_floor(problem).bytes;
  const Bytes peak = problem.unplanned().peak_bytes;
  for (int part = 0; part < 4; ++part) {
    const Bytes budget = floor + (peak - floor) * part / 4;
    const auto best = oracle.least_recompute(budget);
    const auto answer = plan(step, budget);
    if (!best) {
      EXPECT_FALSE(answer) << seed << ' ' << part;
      continue;
    }
    EXPECT_LE(lower_bound(problem, budget), *best) << seed << ' ' << part;
    ++score.num_cases;
    score.num_missed += !answer;
    if (!answer) continue;
    EXPECT_GE(answer->recompute_ns, *best) << seed << ' ' << part;
    score.num_optimal += answer->recompute_ns == *best;
  }
}

TEST(Oracle, IsMetByAutoOnNearlyAllSmallSteps) {
  Score score;
  for (int seed = 0; seed < 540; ++seed) {
    compare(random_graph(seed, {.num_ops = 3 + seed % 2}), seed, score);
    const testing::RandomGraphOptions options{
        .num_ops = 3, .with_in_place = false, .has_runtime_actions = false};
    compare(random_graph(seed, options), seed, score);
  }
  EXPECT_GT(score.num_cases, 2000);
  EXPECT_GE(score.num_optimal * 1000, score.num_cases * 990)
      << score.num_optimal << " of " << score.num_cases << ", without a plan " << score.num_missed;
}

}  // namespace
}  // namespace tidemark
