#include "tidemark/plan/signature.h"

#include <gtest/gtest.h>

#include "graph/small_graph.h"

namespace tidemark {
namespace {

using testing::small_graph;

std::string difference(const StepGraph& found) {
  return first_difference(signature(small_graph()), signature(found)).value_or("");
}

TEST(Signature, HasOneItemPerForwardOpAndUnpack) {
  const Signature found = signature(small_graph());
  const std::vector<SignatureItem> expected = {
      {.event = 0, .name = "aten::mm", .inputs = {0, 1}, .outputs = {2}, .shapes = {"f32[4]"}},
      {.event = 1, .name = "aten::relu_", .inputs = {2}, .outputs = {2}},
      {.event = 2, .name = "aten::sum", .inputs = {2}, .outputs = {3}},
      {.event = 4, .is_unpack = true, .name = "ReluBackward0", .handles = {0, 7}},
  };
  EXPECT_EQ(found.items, expected);
}

TEST(Signature, SaysSizeAndEndOfEveryEntryBlock) {
  const Signature found = signature(small_graph());
  EXPECT_EQ(found.entry, small_graph().entry);
  EXPECT_EQ(found.entry_block_bytes, (std::vector<Bytes>{64, 32}));
  EXPECT_EQ(found.entry_block_ends, (std::vector<EventIndex>{6, 1}));
}

TEST(Signature, OfTheSameStepHasNoDifference) {
  EXPECT_EQ(difference(small_graph()), "");
  EXPECT_EQ(graph_hash(small_graph()), signature_hash(signature(small_graph())));
}

// Plans on disk carry this hash: a change of it orphans them.
TEST(Signature, HashStaysTheSameOnEveryPlatform) {
  EXPECT_EQ(graph_hash(small_graph()), 0x484ac269d4539c64u);
}

TEST(Signature, IgnoresTimesScopesAndBackwardOps) {
  StepGraph graph = small_graph();
  graph.events[0].cost_ns = 99;
  graph.events[0].scope = "elsewhere";
  graph.events[5].name = "aten::where";
  graph.entry.other_bytes = 1000;
  EXPECT_EQ(difference(graph), "");
  EXPECT_EQ(graph_hash(graph), graph_hash(small_graph()));
}

TEST(FirstDifference, NamesAnotherOp) {
  StepGraph graph = small_graph();
  graph.events[2].name = "aten::mean";
  EXPECT_EQ(difference(graph), "At event 2: expected the op aten::sum, found the op aten::mean.");
  EXPECT_NE(graph_hash(graph), graph_hash(small_graph()));
}

TEST(FirstDifference, NamesOtherShapes) {
  StepGraph graph = small_graph();
  graph.events[0].shapes = {"f32[5]"};
  EXPECT_EQ(difference(graph),
            "At event 0, the op aten::mm: expected the result shapes [f32[4]], found [f32[5]].");
  EXPECT_NE(graph_hash(graph), graph_hash(small_graph()));
}

TEST(FirstDifference, NamesOtherDataflow) {
  StepGraph graph = small_graph();
  graph.events[0].inputs = {1, 0};
  EXPECT_EQ(difference(graph),
            "At event 0, the op aten::mm: expected the input blocks [0, 1], found [1, 0].");
  EXPECT_NE(graph_hash(graph), graph_hash(small_graph()));
}

TEST(FirstDifference, NamesOtherHandles) {
  StepGraph graph = small_graph();
  graph.events[4].handles = {0, 8};
  EXPECT_EQ(difference(graph),
            "At event 4, the unpack of ReluBackward0: expected the handles [0, 7], found [0, 8].");
  EXPECT_NE(graph_hash(graph), graph_hash(small_graph()));
}

TEST(FirstDifference, NamesAnUnpackInPlaceOfAnOp) {
  Signature found = signature(small_graph());
  found.items[2].is_unpack = true;
  EXPECT_EQ(first_difference(signature(small_graph()), found),
            "At event 2: expected the op aten::sum, found the unpack of aten::sum.");
}

TEST(FirstDifference, NamesWhereTheShorterStepEnds) {
  const Signature whole = signature(small_graph());
  Signature shorter = whole;
  shorter.items.pop_back();
  EXPECT_EQ(first_difference(whole, shorter),
            "At event 4: expected the unpack of ReluBackward0, found the end of the step.");
  EXPECT_EQ(first_difference(shorter, whole),
            "At event 4: expected the end of the step, found the unpack of ReluBackward0.");
}

TEST(FirstDifference, NamesAnotherEntryState) {
  StepGraph graph = small_graph();
  graph.values[1].bytes = 33;
  EXPECT_EQ(difference(graph), "At entry: expected blocks of [64, 32] bytes, found [64, 33].");
  EXPECT_NE(graph_hash(graph), graph_hash(small_graph()));
}

TEST(FirstDifference, NamesABlockThatDiesAtAnotherTime) {
  StepGraph graph = small_graph();
  graph.values[1].holds = {{0, 2}};
  EXPECT_EQ(difference(graph), "At entry: expected block 1 to be gone at event 1, found 2.");
  EXPECT_NE(graph_hash(graph), graph_hash(small_graph()));
}

}  // namespace
}  // namespace tidemark
