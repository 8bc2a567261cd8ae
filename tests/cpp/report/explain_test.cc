#include "tidemark/report/explain.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "tidemark/generate/generate.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/simulate.h"

namespace tidemark {
namespace {

class Explained : public ::testing::Test {
 protected:
  Explained()
      : graph_(
            generate("gpt2_small", {.batch = 8, .size = 256, .optimizer = Optimizer::kNothing})) {}

  Plan plan_at(double share) const {
    const Bytes floor = memory_floor(graph_).bytes;
    const auto range = static_cast<double>(simulate(graph_).peak_bytes - floor);
    return *plan(graph_, floor + static_cast<Bytes>(share * range), {.policy = "lookahead"});
  }
  static ExplainOptions options(std::string scope = "", int max_values = 1'000'000) {
    return {
        .scope = std::move(scope), .max_values = max_values, .planning = {.policy = "lookahead"}};
  }

  StepGraph graph_;
};

TEST_F(Explained, EveryValueThatBackwardWantsHasAFateThatThePlanBearsOut) {
  const Plan plan = plan_at(0.5);
  const Explanation why = explain(graph_, plan, options());
  Nanoseconds recomputed_ns = 0;
  std::int64_t num_kept = 0;
  for (const ValueStory& story : why.values) {
    EXPECT_FALSE(story.why.empty());
    EXPECT_NE(story.fate, Fate::kPinned) << story.op;
    if (story.fate == Fate::kKept)
      ++num_kept;
    else
      EXPECT_GE(story.num_times, 1);
  }
  for (const Trade& trade : why.by_op) recomputed_ns += trade.recompute_ns;
  EXPECT_GT(num_kept, 0);
  EXPECT_EQ(recomputed_ns, plan.recompute_ns);
  EXPECT_EQ(why.peak_op, graph_.events[plan.peak_event].name);
}

TEST_F(Explained, TradesComeDearestFirst) {
  const Explanation why = explain(graph_, plan_at(0.4), options());
  ASSERT_GT(why.by_op.size(), 1U);
  const auto product = [](Bytes bytes, Nanoseconds ns) {
    return static_cast<double>(bytes) * static_cast<double>(ns);
  };
  for (std::size_t i = 1; i < why.by_op.size(); ++i) {
    const Trade& dear = why.by_op[i - 1];
    const Trade& cheap = why.by_op[i];
    EXPECT_LE(product(dear.dropped_bytes, cheap.recompute_ns),
              product(cheap.dropped_bytes, dear.recompute_ns));
  }
}

TEST_F(Explained, MoreMemoryIsNeverSlowerAndEndsWithNothingRecomputed) {
  const Plan plan = plan_at(0.5);
  const Explanation why = explain(graph_, plan, options());
  ASSERT_FALSE(why.next.empty());
  for (const BudgetStep& step : why.next) EXPECT_GT(step.budget_bytes, plan.budget_bytes);
  EXPECT_EQ(why.next.back().recompute_ns, 0);
}

TEST_F(Explained, PinnedValuesSayWhy) {
  for (Event& event : graph_.events)
    if (event.name == "aten::native_dropout") event.pinned = "draws from a generator of its own";
  const Explanation why = explain(graph_, plan_at(0.5), options());
  std::int64_t num_pinned = 0;
  for (const ValueStory& story : why.values) {
    if (story.op != "aten::native_dropout") continue;
    EXPECT_EQ(story.fate, Fate::kPinned);
    EXPECT_NE(story.why.find("a generator of its own"), std::string::npos);
    ++num_pinned;
  }
  EXPECT_GT(num_pinned, 0);
}

TEST_F(Explained, AScopeShowsItsOwnModulesOnly) {
  const Plan plan = plan_at(0.5);
  const Explanation why = explain(graph_, plan, options("h.1"));
  EXPECT_FALSE(why.values.empty());
  for (const ValueStory& story : why.values)
    EXPECT_TRUE(story.scope == "h.1" || story.scope.starts_with("h.1.")) << story.scope;
  EXPECT_THROW(static_cast<void>(explain(graph_, plan, options("encoder"))), std::invalid_argument);
}

TEST_F(Explained, TextLeavesSmallValuesOutAndSaysSo) {
  const std::string text = to_text(explain(graph_, plan_at(0.5), options("", 3)));
  EXPECT_NE(text.find("smaller values"), std::string::npos) << text;
  EXPECT_NE(text.find("set by event"), std::string::npos);
  EXPECT_NE(text.find("more memory"), std::string::npos);
}

}  // namespace
}  // namespace tidemark
