#include "tidemark/graph/use_lifetime.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "graph/inference_nets.h"
#include "plan/random_graph.h"
#include "tidemark/graph/lifetime.h"

namespace tidemark {
namespace {

using testing::alexnet;
using testing::lenet;
using testing::NetBuilder;
using testing::RandomGraph;

using Closed = std::pair<EventIndex, EventIndex>;  // first and last op, as the papers write it

std::map<std::string, Closed> closed_by_name(const StepGraph& graph, LoadStyle style) {
  const UseLifetimes found = use_lifetimes(graph, style);
  std::map<std::string, Closed> closed;
  for (const Value& value : graph.values) {
    const Interval life = found.blocks[value.block];
    closed[value.scope] = {life.begin, life.end - 1};
  }
  return closed;
}

TEST(UseLifetime, L3OfLenetWithLoadsBeforeUseIsTheArticlesTable) {
  const std::map<std::string, Closed> table = {
      {"data_0", {0, 3}},   {"conv1_w_0", {1, 3}}, {"conv1_b_0", {2, 3}}, {"conv1_1", {3, 4}},
      {"pool1_1", {4, 7}},  {"conv2_w_0", {5, 7}}, {"conv2_b_0", {6, 7}}, {"conv2_1", {7, 8}},
      {"pool2_1", {8, 10}}, {"shape", {9, 10}},    {"reshape", {10, 13}}, {"ip1_w", {11, 13}},
      {"ip1_b", {12, 13}},  {"ip1_1", {13, 14}},   {"ip1_2", {14, 17}},   {"ip2_w", {15, 17}},
      {"ip2_b", {16, 17}},  {"ip2_1", {17, 18}},   {"prob_1", {18, 19}}};
  EXPECT_EQ(closed_by_name(lenet(), LoadStyle::kBeforeUse), table);
  EXPECT_EQ(use_lifetimes(lenet(), LoadStyle::kBeforeUse).num_times, 20);
}

TEST(UseLifetime, L1OfAlexnetByOpsAloneIsOnncsVector) {
  std::map<std::string, Closed> table = {
      {"data_0", {0, 0}},    {"conv1_1", {0, 1}},   {"conv1_2", {1, 2}},   {"norm1", {2, 3}},
      {"pool1", {3, 4}},     {"conv2_1", {4, 5}},   {"conv2_2", {5, 6}},   {"norm2", {6, 7}},
      {"pool2", {7, 8}},     {"conv3_1", {8, 9}},   {"conv3_2", {9, 10}},  {"conv4_1", {10, 11}},
      {"conv4_2", {11, 12}}, {"conv5_1", {12, 13}}, {"conv5_2", {13, 14}}, {"pool5", {14, 15}},
      {"fc6_1", {15, 16}},   {"fc6_2", {16, 17}},   {"fc6_3", {17, 18}},   {"fc6_mask", {17, 17}},
      {"fc7_1", {18, 19}},   {"fc7_2", {19, 20}},   {"fc7_3", {20, 21}},   {"fc7_mask", {20, 20}},
      {"fc8_1", {21, 22}},   {"prob", {22, 22}}};
  const std::pair<const char*, EventIndex> users[] = {{"conv1", 0},  {"conv2", 4},  {"conv3", 8},
                                                      {"conv4", 10}, {"conv5", 12}, {"fc6", 15},
                                                      {"fc7", 18},   {"fc8", 21}};
  for (const auto& [layer, op] : users) {
    for (const char* part : {"_w", "_b"}) table[std::string(layer) + part] = {op, op};
  }
  EXPECT_EQ(closed_by_name(alexnet(true, false), LoadStyle::kOpsOnly), table);
}

TEST(UseLifetime, L3OfAlexnetWithLoadsFirstIsOnncsVector) {
  std::map<std::string, Closed> table = {
      {"data_0", {0, 18}},   {"conv1_1", {18, 19}}, {"conv1_2", {19, 20}},
      {"norm1", {20, 21}},   {"pool1", {21, 22}},   {"conv2_1", {22, 23}},
      {"conv2_2", {23, 24}}, {"norm2", {24, 25}},   {"pool2", {25, 26}},
      {"conv3_1", {26, 27}}, {"conv3_2", {27, 28}}, {"conv4_1", {28, 29}},
      {"conv4_2", {29, 30}}, {"conv5_1", {30, 31}}, {"conv5_2", {31, 32}},
      {"pool5", {32, 33}},   {"reshape", {33, 34}}, {"fc6_1", {34, 35}},
      {"fc6_2", {35, 36}},   {"fc7_1", {36, 37}},   {"fc7_2", {37, 38}},
      {"fc8_1", {38, 39}},   {"prob", {39, 40}},    {"OC2_DUMMY_1", {17, 33}}};
  const std::pair<const char*, EventIndex> users[] = {{"conv1", 18}, {"conv2", 22}, {"conv3", 26},
                                                      {"conv4", 28}, {"conv5", 30}, {"fc6", 34},
                                                      {"fc7", 36},   {"fc8", 38}};
  EventIndex load = 1;
  for (const auto& [layer, op] : users) {
    for (const char* part : {"_w", "_b"}) table[std::string(layer) + part] = {load++, op};
  }
  EXPECT_EQ(closed_by_name(alexnet(false, true), LoadStyle::kFirst), table);
}

// ONNC's FuseInplaceValue test: ReLU may write its input unless somebody else reads that too.
TEST(UseLifetime, L2OfAChainWrittenInPlaceIsThatOfOneBlock) {
  NetBuilder net;
  const ValueIndex data = net.source("data", 8);
  ValueIndex x = net.op("conv", {data}, 8);
  for (int k = 0; k < 3; ++k) {
    const ValueIndex before = x;
    x = net.op("relu", {x}, 8);
    net.in_place(before);
  }
  const StepGraph graph = net.finish(net.op("sum", {x}, 8));
  const UseLifetimes found = use_lifetimes(graph);
  EXPECT_EQ(found.blocks[graph.values[x].block], (Interval{0, 5}));
  EXPECT_EQ(graph.values[x].block, graph.values[1].block);
}

TEST(UseLifetime, L2OfAResultThatTheUserHoldsLastsToTheEnd) {
  NetBuilder net;
  const ValueIndex kept = net.op("kept", {net.source("data", 8)}, 8);
  net.op("other", {kept}, 8);
  const ValueIndex last = net.op("last", {kept}, 8);
  net.op("rest", {last}, 8);
  const StepGraph graph = net.finish(kept);
  EXPECT_EQ(use_lifetimes(graph).blocks[graph.values[kept].block], (Interval{0, 4}));
  EXPECT_EQ(use_lifetimes(graph).blocks[graph.values[last].block], (Interval{2, 4}));
}

bool touches(const StepGraph& graph, const Event& event, BlockIndex block) {
  const auto has = [&](const std::vector<ValueIndex>& values) {
    return std::any_of(values.begin(), values.end(),
                       [&](ValueIndex v) { return graph.values[v].block == block; });
  };
  return has(event.inputs) || has(event.outputs) || has(event.values);
}

// The last use of every block, found by looking at every event for every block.
TEST(UseLifetime, L1EqualsBruteForceOnTenThousandRandomGraphs) {
  for (std::uint32_t seed = 0; seed < 10'000; ++seed) {
    const StepGraph graph = RandomGraph(seed, {.num_ops = 3 + static_cast<int>(seed % 10)}).make();
    const UseLifetimes found = use_lifetimes(graph);
    for (BlockIndex block = 0; block < num_blocks(graph); ++block) {
      Interval life{0, 0};
      for (EventIndex e = graph.num_events() - 1; e >= 0; --e) {
        if (!touches(graph, graph.events[e], block)) continue;
        life.end = std::max(life.end, e + 1);
        life.begin = e;
      }
      bool outlives = false;
      bool is_source = false;
      for (const Value& value : graph.values) {
        outlives = outlives || (value.block == block && value.persistent);
        is_source = is_source || (value.block == block && value.producer == kNone);
      }
      if (outlives && !is_source && life.end > 0) life.end = graph.num_events();
      ASSERT_EQ(found.blocks[block], life) << "seed " << seed << " block " << block;
    }
  }
}

}  // namespace
}  // namespace tidemark
