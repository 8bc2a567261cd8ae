#include "tidemark/plan/validate.h"

#include <gtest/gtest.h>

#include "plan/chain.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"

namespace tidemark {
namespace {

using testing::chain;

class Validate : public ::testing::Test {
 protected:
  StepGraph graph_ = chain();
  Plan plan_ = make_plan(Problem(graph_), emit(Problem(graph_), {{3, {0}}}), "test", 230);

  Rule rule() const {
    const auto violation = validate(graph_, plan_);
    EXPECT_TRUE(violation);
    EXPECT_FALSE(violation->sentence.empty());
    return violation ? violation->rule : Rule::kBadId;
  }
};

TEST_F(Validate, AcceptsAPlanThatKeepsItsPromises) {
  EXPECT_EQ(validate(graph_, plan_), std::nullopt);
  EXPECT_EQ(plan_.actions.size(), 2U);
}

TEST_F(Validate, NamesIdsThatTheGraphDoesNotHave) {
  plan_.actions[0].actions[0].target = 99;
  EXPECT_EQ(rule(), Rule::kBadId);
}

TEST_F(Validate, NamesValuesThatAreNotAsThePlanSays) {
  plan_.values[0].version = 4;
  EXPECT_EQ(rule(), Rule::kBadId);
}

TEST_F(Validate, RefusesActionsWhereTheRuntimeCannotAct) {
  plan_.actions[1].event = 4;
  EXPECT_EQ(rule(), Rule::kNotActionable);
}

TEST_F(Validate, RefusesEventsOutOfOrder) {
  std::swap(plan_.actions[0], plan_.actions[1]);
  EXPECT_EQ(rule(), Rule::kActionOrder);
}

TEST_F(Validate, RefusesReplaysAfterKeeps) {
  plan_.actions[1].actions.insert(plan_.actions[1].actions.begin(), {ActionKind::kKeep, 1});
  EXPECT_EQ(rule(), Rule::kActionOrder);
}

TEST_F(Validate, RefusesReplayOfAPinnedOp) {
  graph_.events[0].pinned = "collective";
  EXPECT_EQ(rule(), Rule::kPinnedReplay);
}

TEST_F(Validate, RefusesReplayOfABackwardOp) {
  graph_.events[0].phase = Phase::kBackward;
  EXPECT_EQ(rule(), Rule::kPinnedReplay);
}

TEST_F(Validate, RefusesReplayWithoutItsInput) {
  graph_.values[0].holds = {{0, 2}};
  EXPECT_EQ(rule(), Rule::kMissingInput);
}

TEST_F(Validate, RefusesReplayOfAnInputWrittenSince) {
  graph_.values[0].overwritten_at = 2;
  EXPECT_EQ(rule(), Rule::kMissingInput);
}

TEST_F(Validate, RefusesKeepOfWhatIsNotThere) {
  plan_.actions[1].actions = {{ActionKind::kKeep, 1}};
  EXPECT_EQ(rule(), Rule::kAbsentAtUse);
  plan_.actions[0].event = 0;
  plan_.actions[0].actions = {{ActionKind::kKeep, 2}};
  plan_.actions.pop_back();
  plan_.values = {{2, 2, 0}};
  EXPECT_EQ(rule(), Rule::kAbsentKeep);
}

TEST_F(Validate, RefusesADropThatNothingRestores) {
  plan_.actions.pop_back();
  EXPECT_EQ(rule(), Rule::kAbsentAtUse);
}

TEST_F(Validate, RefusesADropOfAValueThatIsWrittenLater) {
  graph_.values[1].overwritten_at = 4;
  EXPECT_EQ(rule(), Rule::kDroppedThenWritten);
}

TEST_F(Validate, RecountsEveryPromise) {
  Plan good = plan_;
  plan_.peak_bytes -= 1;
  EXPECT_EQ(rule(), Rule::kWrongPeak);
  plan_ = good;
  plan_.recompute_ns += 1;
  EXPECT_EQ(rule(), Rule::kWrongRecompute);
  plan_ = good;
  plan_.num_replays = 0;
  EXPECT_EQ(rule(), Rule::kWrongReplayCount);
  plan_ = good;
  plan_.budget_bytes = plan_.peak_bytes - 1;
  EXPECT_EQ(rule(), Rule::kOverBudget);
}

}  // namespace
}  // namespace tidemark
