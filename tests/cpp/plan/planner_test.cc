#include "tidemark/plan/planner.h"

#include <gtest/gtest.h>

#include <limits>

#include "plan/random_graph.h"
#include "tidemark/plan/bound.h"
#include "tidemark/plan/cleanup.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/simulate.h"
#include "tidemark/plan/validate.h"

namespace tidemark {
namespace {

using testing::random_graph;
using testing::RandomGraphOptions;

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
  for (int seed = 0; seed < 130; ++seed) {
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
                         ::testing::Combine(::testing::Values(6, 12, 30), ::testing::Bool()));

}  // namespace
}  // namespace tidemark
