#include "tidemark/plan/floor.h"

#include <gtest/gtest.h>

#include "plan/chain.h"

namespace tidemark {
namespace {

TEST(Floor, IsWhatTheProgramHoldsAtTheWorstOp) {
  // 10 for the input, 100 + 100 for the two values, 20 for the gradient: all held by the last op.
  EXPECT_EQ(memory_floor(testing::chain()), (Floor{.bytes = 230, .event = 4}));
}

TEST(Floor, LeavesDroppableGapsOut) {
  const StepGraph graph = testing::chain();
  const auto curve = dropped_curve(Problem(graph));
  const std::vector<Reading> expected{
      {10, 110, 110}, {110, 210, 210}, {110, 117, 110}, {110, 210, 210}, {210, 230, 230}};
  EXPECT_EQ(curve, expected);
}

TEST(Floor, KeepsWhatCannotBeComputedAgain) {
  StepGraph graph = testing::chain();
  graph.events[0].pinned = "collective";
  EXPECT_EQ(dropped_curve(Problem(graph)), simulate(graph).curve);
}

}  // namespace
}  // namespace tidemark
