#include "tidemark/plan/wishes.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "tidemark/generate/generate.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/plan_json.h"
#include "tidemark/plan/planner.h"
#include "tidemark/plan/simulate.h"
#include "tidemark/plan/validate.h"

namespace tidemark {
namespace {

class WishedPlans : public ::testing::Test {
 protected:
  WishedPlans()
      : graph_(
            generate("gpt2_small", {.batch = 8, .size = 256, .optimizer = Optimizer::kNothing})) {}

  Bytes budget(double share) const {
    const Bytes floor = memory_floor(graph_).bytes;
    const auto range = static_cast<double>(simulate(graph_).peak_bytes - floor);
    return floor + static_cast<Bytes>(share * range);
  }

  // How often ops that the pattern names run again.
  std::int64_t num_replays(const Plan& plan, std::string_view pattern) const {
    std::int64_t count = 0;
    for (const EventActions& at : plan.actions)
      for (const Action& action : at.actions)
        count += action.kind == ActionKind::kReplay && is_named(graph_, action.target, pattern);
    return count;
  }

  std::string complaint(const Wishes& wishes) const {
    try {
      static_cast<void>(find_wished_ops(graph_, wishes));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  }

  StepGraph graph_;
};

TEST_F(WishedPlans, PatternsNameModulesOpsAndCategories) {
  EventIndex gelu = 0;
  while (graph_.events[gelu].name != "aten::gelu") ++gelu;
  const EventIndex fc = gelu - 1;
  EXPECT_TRUE(is_named(graph_, fc, "h.0.mlp.c_fc"));
  EXPECT_TRUE(is_named(graph_, fc, "h.0.mlp"));
  EXPECT_TRUE(is_named(graph_, fc, "h.*.mlp"));
  EXPECT_TRUE(is_named(graph_, fc, "addmm"));
  EXPECT_FALSE(is_named(graph_, fc, "h.1"));
  EXPECT_FALSE(is_named(graph_, fc, "h.0.ml"));
  EXPECT_TRUE(is_named(graph_, gelu, "aten::gelu"));
  EXPECT_TRUE(is_named(graph_, gelu, "Activation"));
  EXPECT_FALSE(is_named(graph_, gelu, "Temp"));
}

TEST_F(WishedPlans, NeverRunAgainWhatIsToBeKept) {
  const Bytes bytes = budget(0.6);
  const auto free = plan(graph_, bytes);
  ASSERT_TRUE(free);
  ASSERT_GT(num_replays(*free, "h.3"), 0);
  ASSERT_GT(num_replays(*free, "h.4.ln_*"), 0);
  const auto wished = plan(graph_, bytes, {.wishes = {.keep = {"h.3", "h.4.ln_*"}}});
  ASSERT_TRUE(wished) << wished.failure().sentence;
  EXPECT_EQ(num_replays(*wished, "h.3"), 0);
  EXPECT_EQ(num_replays(*wished, "h.4.ln_*"), 0);
  EXPECT_LE(wished->peak_bytes, bytes);
  EXPECT_FALSE(validate(graph_, *wished));
  EXPECT_EQ(wished->graph_hash, free->graph_hash);
  EXPECT_GE(wished->recompute_ns, wished->lower_bound_ns);
}

TEST_F(WishedPlans, DropWhatIsToBeRecomputedEvenWhereEverythingFits) {
  const Bytes bytes = simulate(graph_).peak_bytes;
  const Wishes wishes{.keep = {}, .recompute = {"gelu", "h.7.mlp"}};
  const auto wished = plan(graph_, bytes, {.wishes = wishes});
  ASSERT_TRUE(wished) << wished.failure().sentence;
  EXPECT_GE(num_replays(*wished, "gelu"), 12);
  EXPECT_GE(num_replays(*wished, "h.7.mlp.c_fc"), 1);
  EXPECT_LT(wished->peak_bytes, bytes);
  EXPECT_FALSE(validate(graph_, *wished));
  EXPECT_GE(wished->recompute_ns, wished->lower_bound_ns);
  EXPECT_EQ(plan_from_json(to_json(*wished)).wishes, wishes);
}

TEST_F(WishedPlans, HonourBothListsUnderATightBudget) {
  const Wishes wishes{.keep = {"h.0"}, .recompute = {"h.11.mlp"}};
  const auto wished = plan(graph_, budget(0.5), {.wishes = wishes});
  ASSERT_TRUE(wished) << wished.failure().sentence;
  EXPECT_EQ(num_replays(*wished, "h.0"), 0);
  EXPECT_GE(num_replays(*wished, "h.11.mlp.c_fc"), 1);
  EXPECT_LE(wished->peak_bytes, budget(0.5));
  EXPECT_FALSE(validate(graph_, *wished));
}

TEST_F(WishedPlans, NeedNoBudget) {
  const auto wished = plan(graph_, kUnlimited, {.wishes = {.recompute = {"h.11.mlp"}}});
  ASSERT_TRUE(wished) << wished.failure().sentence;
  EXPECT_GE(num_replays(*wished, "h.11.mlp.c_fc"), 1);
}

TEST(WishesThatTakeTooMuch, AreRefusedWithWhatTheyCostAtLeast) {
  const StepGraph graph = generate("resnet18", {.batch = 8, .optimizer = Optimizer::kNothing});
  const Bytes floor = memory_floor(graph).bytes;
  const Bytes peak = simulate(graph).peak_bytes;
  const PlanOptions options{.policy = "lookahead", .wishes = {.recompute = {"relu*"}}};
  const auto refused = plan(graph, floor + (peak - floor) / 100, options);
  ASSERT_FALSE(refused);
  EXPECT_GT(refused.failure().lower_bound_ns, 0);
  EXPECT_LT(refused.failure().lower_bound_ns, simulate(graph).step_ns);
}

TEST_F(WishedPlans, AreRefusedWithTheReasonWhereTheyCannotBe) {
  EXPECT_NE(complaint({.keep = {"lm_haed"}}).find("lm_head"), std::string::npos);
  EXPECT_NE(complaint({.keep = {"h.2"}, .recompute = {"gelu"}}).find("both name op aten::gelu"),
            std::string::npos);
  EXPECT_NE(complaint({.recompute = {"h.0.attn.c_proj"}}).find("nothing to compute again"),
            std::string::npos);
  graph_.events[5].pinned = "reads a file";
  const std::string why = complaint({.recompute = {graph_.events[5].name}});
  EXPECT_NE(why.find("cannot be computed again: reads a file"), std::string::npos) << why;
}

TEST_F(WishedPlans, SayNoWhereWhatIsKeptDoesNotFit) {
  const auto answer = plan(graph_, budget(0.3), {.wishes = {.keep = {"*"}}});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.failure().least_feasible_bytes, simulate(graph_).peak_bytes);
}

}  // namespace
}  // namespace tidemark
