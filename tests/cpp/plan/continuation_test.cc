#include "tidemark/plan/continuation.h"

#include <gtest/gtest.h>

#include "tidemark/generate/generate.h"
#include "tidemark/plan/candidate.h"
#include "tidemark/plan/floor.h"

namespace tidemark {
namespace {

class ContinuationOfAResNet : public ::testing::Test {
 protected:
  Continuation::Options options(double share) const {
    const Bytes peak = problem_.unplanned().peak_bytes;
    return {.budget = floor_ + static_cast<Bytes>(share * static_cast<double>(peak - floor_)),
            .work = 2'000'000,
            .repair_work = 500'000,
            .stop = {}};
  }

  StepGraph graph_ = generate("resnet50", {.optimizer = Optimizer::kNothing});
  Problem problem_{graph_};
  Bytes floor_ = memory_floor(problem_).bytes;
  ResidencyFacts facts_{problem_};
  Residency residency_{facts_};
  Repair repair_{residency_};
  Continuation continuation_{residency_, repair_};
};

TEST_F(ContinuationOfAResNet, ComesDownToTheBudget) {
  continuation_.begin_with({}, problem_.unplanned().peak_bytes, 0);
  const Continuation::Rung* rung = continuation_.reach(options(0.3));
  ASSERT_NE(rung, nullptr);
  const auto candidate = judge(problem_, rung->schedule);
  ASSERT_TRUE(candidate);
  EXPECT_LE(candidate->simulation.peak_bytes, options(0.3).budget);
  EXPECT_EQ(candidate->simulation.recompute_ns, rung->cost_ns);
}

TEST_F(ContinuationOfAResNet, RemembersWhatLiesOnTheWay) {
  continuation_.begin_with({}, problem_.unplanned().peak_bytes, 0);
  const Continuation::Rung* low = continuation_.reach(options(0.3));
  ASSERT_NE(low, nullptr);
  const Nanoseconds low_ns = low->cost_ns;
  const std::int64_t work = residency_.work();
  const Continuation::Rung* middle = continuation_.reach(options(0.6));
  ASSERT_NE(middle, nullptr);
  EXPECT_LT(middle->cost_ns, low_ns);
  EXPECT_EQ(residency_.work(), work);
}

TEST_F(ContinuationOfAResNet, EndsAboveABudgetThatNothingFits) {
  continuation_.begin_with({}, problem_.unplanned().peak_bytes, 0);
  EXPECT_EQ(continuation_.reach(options(-0.1)), nullptr);
}

}  // namespace
}  // namespace tidemark
