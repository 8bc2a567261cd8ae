#include "tidemark/plan/bound.h"

#include <gtest/gtest.h>

#include <limits>

#include "plan/chain.h"

namespace tidemark {
namespace {

// Five bytes at the end, so that the gap of value 1 holds the peak of 217 at event 2.
StepGraph chain_with_peak_in_the_gap() {
  StepGraph graph = testing::chain();
  graph.values[2].holds = {{1, 3}};
  graph.events[4].inputs = {1};
  return graph;
}

TEST(LowerBound, IsNothingWhereTheStepFits) {
  const StepGraph graph = chain_with_peak_in_the_gap();
  EXPECT_EQ(simulate(graph).peak_bytes, 217);
  EXPECT_EQ(lower_bound(graph, 217), 0);
}

TEST(LowerBound, ChargesTheFractionThatMustGo) {
  StepGraph graph = chain_with_peak_in_the_gap();
  graph.events[0].cost_ns = 1'000'000;
  graph.events[1].pinned = "collective";
  // 7 of the value's 100 bytes must go, at 7 % of its op.
  EXPECT_NEAR(static_cast<double>(lower_bound(graph, 210)), 70'000, 1);
}

TEST(LowerBound, ChargesTheWholeOpAlongAPath) {
  StepGraph graph = chain_with_peak_in_the_gap();
  graph.events[0].cost_ns = 1'000'000;
  // There is room for one value of 100 bytes, and at event 2 the program holds the other.
  EXPECT_EQ(lower_bound(graph, 210), 1'000'000);
}

TEST(LowerBound, IsEndlessBelowTheFloor) {
  EXPECT_EQ(lower_bound(chain_with_peak_in_the_gap(), 100),
            std::numeric_limits<Nanoseconds>::max());
}

}  // namespace
}  // namespace tidemark
