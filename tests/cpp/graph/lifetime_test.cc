#include "tidemark/graph/lifetime.h"

#include <gtest/gtest.h>

#include "graph/small_graph.h"

namespace tidemark {
namespace {

using testing::small_graph;
using Intervals = std::vector<Interval>;

TEST(Lifetime, OfAVersionEndsWhereTheNextBegins) {
  const Intervals expected = {{0, 6}, {0, 1}, {0, 1}, {1, 6}, {2, 6}, {3, 4}, {5, 6}};
  EXPECT_EQ(value_lifetimes(small_graph()), expected);
}

TEST(Lifetime, OfABlockSpansItsVersions) {
  const Intervals expected = {{0, 6}, {0, 1}, {0, 6}, {2, 6}, {3, 4}, {5, 6}};
  EXPECT_EQ(block_lifetimes(small_graph()), expected);
}

TEST(Lifetime, OfAKeptValueLastsToItsLastHandlesRelease) {
  StepGraph graph = small_graph();
  graph.values[3].holds[1].end = 5;
  EXPECT_EQ(value_lifetimes(graph)[3].end, 6);
  EXPECT_EQ(block_lifetimes(graph)[2].end, 6);
}

TEST(Lifetime, OfAKeptValueLastsToItsLastHoldIfThatIsLater) {
  StepGraph graph = small_graph();
  graph.values[3].handles[0].released_at = 5;
  EXPECT_EQ(value_lifetimes(graph)[3].end, 6);
}

TEST(Lifetime, UnusedBlockNumbersAreNeverLive) {
  StepGraph graph = small_graph();
  graph.values.back().block = 6;
  EXPECT_EQ(num_blocks(graph), 7);
  EXPECT_EQ(block_lifetimes(graph)[5], (Interval{0, 0}));
}

TEST(Lifetime, ForwardOpsAreThoseOutsideBackward) {
  EXPECT_EQ(forward_ops(small_graph()), (std::vector<EventIndex>{0, 1, 2}));
}

TEST(Gaps, LieBetweenTwoHoldsOfOneValue) {
  EXPECT_EQ(gaps(small_graph()), (std::vector<Gap>{{3, {3, 4}}}));
}

TEST(Gaps, HavePositiveLength) {
  StepGraph graph = small_graph();
  graph.values[3].holds = {{1, 4}, {4, 6}};
  EXPECT_TRUE(gaps(graph).empty());
}

TEST(Gaps, AreNotOfSources) {
  StepGraph graph = small_graph();
  graph.has_runtime_actions = false;
  graph.values[0].holds = {{0, 1}, {4, 6}};
  EXPECT_EQ(gaps(graph).size(), 1u);
}

TEST(Gaps, AreNotOfValuesThatTheCollectorHolds) {
  StepGraph graph = small_graph();
  graph.values[3].gc_held = true;
  EXPECT_TRUE(gaps(graph).empty());
}

TEST(Gaps, AreNotOfBlocksSavedAtTwoVersions) {
  StepGraph graph = small_graph();
  graph.values[2].handles = {{1, 0, 6}};
  EXPECT_TRUE(gaps(graph).empty());
}

TEST(Gaps, AreNotOfAVersionThatOnlyAnOlderVersionsHandleServes) {
  StepGraph graph = small_graph();
  graph.values[2].handles = {{0, 0, 6}};
  graph.values[3].handles.clear();
  graph.events[4].values = {2};
  check(graph);
  EXPECT_TRUE(gaps(graph).empty());
}

TEST(Gaps, EndBeforeTheBlockIsOverwritten) {
  StepGraph graph = small_graph();
  graph.values[3].overwritten_at = 2;
  EXPECT_TRUE(gaps(graph).empty());
  graph.values[3].overwritten_at = 5;
  EXPECT_EQ(gaps(graph).size(), 1u);
}

}  // namespace
}  // namespace tidemark
