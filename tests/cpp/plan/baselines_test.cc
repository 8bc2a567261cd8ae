// Every policy on every generated model, at eight budgets from the floor up.

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/extent.h"
#include "tidemark/generate/generate.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/online_planner.h"
#include "tidemark/plan/planner.h"
#include "tidemark/plan/simulate.h"
#include "tidemark/plan/validate.h"

namespace tidemark {
namespace {

constexpr int kNumBudgets = 8;

class EveryPolicy : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryPolicy, KeepsWithinTheBudgetWithPlansThatTheValidatorAccepts) {
  const StepGraph graph = generate(GetParam(), {.optimizer = Optimizer::kNothing});
  const Bytes floor = memory_floor(graph).bytes;
  const Bytes range = simulate(graph).peak_bytes - floor;
  std::map<std::string, int> num_plans;
  for (const std::string& policy : policies()) {
    std::vector<Bytes> budgets;
    for (int i = 1; i <= kNumBudgets; ++i) budgets.push_back(floor + range / kNumBudgets * i);
    const Frontier curve = frontier(graph, budgets, {.policy = policy, .time_limit_s = 60});
    for (const Plan& plan : curve.plans) {
      EXPECT_LE(plan.peak_bytes, plan.budget_bytes) << policy;
      const auto violation = validate(graph, plan);
      EXPECT_FALSE(violation) << policy << ": " << violation->sentence;
      EXPECT_LE(plan.lower_bound_ns, plan.recompute_ns) << policy;
      ++num_plans[policy];
    }
  }
  for (const auto& [policy, count] : num_plans) {
    RecordProperty(policy, count);
    EXPECT_GT(count, 0) << policy;
  }
}

// In large steps whoever is so near to what no plan can beat asks the online policies alone.
constexpr int kNotLarge = 1200;
constexpr double kNearBound = 1.001;
constexpr double kTrifle = 2e-4;

bool is_online(std::string_view policy) {
  return std::ranges::find(kOnlinePolicies, policy, &OnlinePolicy::name) !=
         std::end(kOnlinePolicies);
}

TEST_P(EveryPolicy, IsNoCheaperThanAuto) {
  const StepGraph graph = generate(GetParam(), {.optimizer = Optimizer::kNothing});
  const Bytes floor = memory_floor(graph).bytes;
  const Bytes range = simulate(graph).peak_bytes - floor;
  const bool is_large = graph.num_events() > kNotLarge;
  std::vector<Bytes> budgets;
  for (int i = 1; i < kNumBudgets; ++i) budgets.push_back(floor + range / kNumBudgets * i);
  for (Bytes budget : budgets) {
    const auto ours = plan(graph, budget, {.time_limit_s = 60});
    for (const std::string& policy : policies()) {
      if (is_tree_policy(policy)) continue;
      const auto theirs = plan(graph, budget, {.policy = policy, .time_limit_s = 60});
      if (!theirs) continue;
      ASSERT_TRUE(ours) << policy << " at " << budget;
      auto most = static_cast<double>(theirs->recompute_ns);
      if (is_large && !is_online(policy))
        most = kNearBound * most + kTrifle * static_cast<double>(theirs->step_ns);
      EXPECT_LE(static_cast<double>(ours->recompute_ns), most) << policy << " at " << budget;
    }
  }
}

std::vector<const char*> models() {
  std::vector<const char*> names{"chain24", "ragged_chain24", "unet",
                                 "lstm6",   "treelstm8",      "random60"};
  if (testing::is_test_all())
    for (const char* name : {"resnet50", "resnet152", "vgg19", "densenet121", "inception_v3",
                             "gpt2_small", "gpt2_medium", "gpt2_small_unfused", "lstm32",
                             "treelstm64", "chain200", "ragged_chain200", "random400"})
      names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Generated, EveryPolicy, ::testing::ValuesIn(models()));

}  // namespace
}  // namespace tidemark
