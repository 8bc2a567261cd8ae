#include "tidemark/plan/rivals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "tidemark/generate/generate.h"
#include "tidemark/plan/candidate.h"

namespace tidemark {
namespace {

class RivalsOfAUnet : public ::testing::Test {
 protected:
  StepGraph graph_ = generate("unet", {.optimizer = Optimizer::kNothing});
  Problem problem_{graph_};
  Rivals rivals_{problem_};
  Bytes half_ = problem_.unplanned().peak_bytes / 2;
};

TEST_F(RivalsOfAUnet, AnswerAsTheCheapestOfAllSchedulesSimulated) {
  int num_answers = 0;
  for (const ReadyPolicy& policy : ready_policies()) {
    std::optional<Nanoseconds> cheapest;
    for (Schedule& schedule : policy.make(problem_)) {
      const auto candidate = judge(problem_, std::move(schedule));
      if (!candidate || candidate->simulation.peak_bytes > half_) continue;
      const Nanoseconds cost = candidate->simulation.recompute_ns;
      cheapest = std::min(cheapest.value_or(cost), cost);
    }
    const Rival* rival = rivals_.cheapest(policy, {.budget = half_});
    ASSERT_EQ(rival != nullptr, cheapest.has_value()) << policy.name;
    if (rival == nullptr) continue;
    EXPECT_EQ(rival->cost_ns, *cheapest) << policy.name;
    EXPECT_LE(rival->peak_bytes, half_) << policy.name;
    ++num_answers;
  }
  EXPECT_GE(num_answers, 5);
}

TEST_F(RivalsOfAUnet, KeepBetweenTheCostsAskedFor) {
  const ReadyPolicy& policy = ready_policies().front();
  const Rival* rival = rivals_.cheapest(policy, {.budget = half_});
  ASSERT_NE(rival, nullptr);
  const Nanoseconds cost = rival->cost_ns;

  EXPECT_EQ(rivals_.cheapest(policy, {.budget = half_, .below_ns = cost}), nullptr);
  const Rival* dearer = rivals_.cheapest(policy, {.budget = half_, .least_cost_ns = cost + 1});
  EXPECT_TRUE(dearer == nullptr || dearer->cost_ns > cost);
}

}  // namespace
}  // namespace tidemark
