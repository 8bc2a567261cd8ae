#include "tidemark/graph/graph.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "graph/small_graph.h"

namespace tidemark {
namespace {

using testing::small_graph;

TEST(Graph, SpellsCategoriesAsPyTorchDoes) {
  EXPECT_EQ(to_string(Category::kParameter), "Parameter");
  EXPECT_EQ(to_string(Category::kBuffer), "Buffer");
  EXPECT_EQ(to_string(Category::kGradient), "Gradient");
  EXPECT_EQ(to_string(Category::kActivation), "Activation");
  EXPECT_EQ(to_string(Category::kTemp), "Temp");
  EXPECT_EQ(to_string(Category::kOptstate), "Optstate");
  EXPECT_EQ(to_string(Category::kOther), "Other");
}

TEST(Graph, SpellsKindsAndPhasesAsFilesDo) {
  EXPECT_EQ(to_string(EventKind::kOp), "op");
  EXPECT_EQ(to_string(EventKind::kUnpack), "unpack");
  EXPECT_EQ(to_string(EventKind::kHost), "host");
  EXPECT_EQ(to_string(Phase::kForward), "forward");
  EXPECT_EQ(to_string(Phase::kBackward), "backward");
  EXPECT_EQ(to_string(Phase::kOptimizer), "optimizer");
  EXPECT_EQ(to_string(Phase::kOther), "other");
}

TEST(Graph, RuntimeActsAfterForwardOpsAndInsideUnpacksOnly) {
  const StepGraph graph = small_graph();
  EXPECT_TRUE(is_actionable(graph, 0));
  EXPECT_FALSE(is_actionable(graph, 3)) << "host";
  EXPECT_TRUE(is_actionable(graph, 4)) << "unpack";
  EXPECT_FALSE(is_actionable(graph, 5)) << "backward op";
}

TEST(Graph, RuntimeActsAfterOptimizerOps) {
  StepGraph graph = small_graph();
  graph.events[2].phase = Phase::kOptimizer;
  EXPECT_TRUE(is_actionable(graph, 2));
}

TEST(Graph, FromElsewhereMayActBeforeAnyOp) {
  StepGraph graph = small_graph();
  graph.has_runtime_actions = false;
  EXPECT_TRUE(is_actionable(graph, 5));
  EXPECT_FALSE(is_actionable(graph, 3));
  EXPECT_FALSE(is_actionable(graph, 4));
}

TEST(Graph, NoActionOutsideTheStep) {
  EXPECT_THROW(is_actionable(small_graph(), -1), std::invalid_argument);
  EXPECT_THROW(is_actionable(small_graph(), 6), std::invalid_argument);
}

}  // namespace
}  // namespace tidemark
