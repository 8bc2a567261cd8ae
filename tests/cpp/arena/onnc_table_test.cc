// ONNC's table (rows L8, L9 and E5): the arena over the sum of all tensors. With
// --gtest_filter=Onnc* it prints the table.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "arena/onnc_models.h"
#include "tidemark/arena/baselines.h"
#include "tidemark/arena/pack.h"
#include "tidemark/graph/use_lifetime.h"

namespace tidemark {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): a dozen models

struct Row {
  Bytes total = 0;
  Bytes arena = 0;
  Bytes bound = 0;
  Bytes first_fit = 0;
  double share() const { return static_cast<double>(arena) / static_cast<double>(total); }
};

enum class Count : std::uint8_t { kEverything, kWithoutWeights };

Row pack_net(const StepGraph& graph, Count count) {
  const bool has_weights = count == Count::kEverything;
  const UseLifetimes lives =
      use_lifetimes(graph, has_weights ? LoadStyle::kBeforeUse : LoadStyle::kOpsOnly);
  Instance instance;
  Row row;
  for (ValueIndex v = 0; v < graph.num_values(); ++v) {
    const Value& value = graph.values[v];
    if (!has_weights && value.producer == kNone && v > 0) continue;  // value 0 is the input
    const Interval life = lives.blocks[value.block];
    instance.buffers.push_back({.begin = life.begin, .end = life.end, .size = value.bytes});
    row.total += value.bytes;
  }
  const Packing packing = pack(instance, {.time_limit_s = 1000, .work_limit = 30'000'000});
  row.arena = packing.layout.height;
  row.bound = packing.lower_bound;
  row.first_fit = pack_as(Baseline::kOnncFirstFit, instance).height;
  return row;
}

struct Net {
  std::string name;
  StepGraph (*build)(int batch);
};

const std::vector<Net>& onnc_list() {
  static const std::vector<Net> nets = {
      {"alexnet", [](int batch) { return alexnet_like(batch, false, 1000); }},
      {"caffenet", [](int batch) { return alexnet_like(batch, true, 1000); }},
      {"rcnn", [](int batch) { return alexnet_like(batch, true, 200); }},
      {"googlenet", [](int batch) { return googlenet(batch, false); }},
      {"inception_v2", [](int batch) { return googlenet(batch, true); }},
      {"densenet121", densenet121},
      {"resnet50", testing::resnet50},
      {"shufflenet", shufflenet},
      {"squeezenet", squeezenet},
      {"vgg19", testing::vgg19},
      {"zfnet512", zfnet512},
      {"yolov1", yolov1},
      {"yolo9000", yolo9000},
  };
  return nets;
}

class OnncRows : public ::testing::TestWithParam<Count> {};

TEST_P(OnncRows, L9EveryRowIsAtItsBoundAndNoWorseThanFirstFit) {
  for (const int batch : {1, 10}) {
    double sum = 0;
    for (const Net& net : onnc_list()) {
      const Row row = pack_net(net.build(batch), GetParam());
      std::printf(
          "%-14s batch %2d: total %8.1f MiB, arena %7.1f, bound %7.1f, first fit %7.1f, %4.1f %%\n",
          net.name.c_str(), batch, static_cast<double>(row.total) / (1 << 20),
          static_cast<double>(row.arena) / (1 << 20), static_cast<double>(row.bound) / (1 << 20),
          static_cast<double>(row.first_fit) / (1 << 20), 100 * row.share());
      EXPECT_LE(static_cast<double>(row.arena), 1.005 * static_cast<double>(row.bound)) << net.name;
      EXPECT_LE(row.arena, row.first_fit) << net.name;
      sum += row.share();
    }
    const double mean = sum / static_cast<double>(onnc_list().size());
    std::printf("mean %.1f %%\n", 100 * mean);
    if (GetParam() == Count::kWithoutWeights) {
      EXPECT_LE(mean, 0.42);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(WithoutWeights, OnncRows, ::testing::Values(Count::kWithoutWeights));
INSTANTIATE_TEST_SUITE_P(WithWeights, OnncRows, ::testing::Values(Count::kEverything));

// Row L8 and E5, in 10^6 bytes: everything counted, loads as ops; what first fit takes, the bound.
TEST(OnncTable, E5OfTheLargeModelsIsWhatWasWorkedOutForThem) {
  struct Expected {
    StepGraph graph;
    double total, first_fit, bound;
  };
  const Expected rows[] = {{testing::vgg19(1), 700, 411.2, 411.2},
                           {testing::vgg19(10), 1832, 416, 412.2},
                           {yolov1(1), 965, 462.8, 462.7},
                           {yolo9000(1), 569, 150.9, 149.8}};
  for (const auto& [graph, total, first_fit, bound] : rows) {
    const Row row = pack_net(graph, Count::kEverything);
    EXPECT_NEAR(static_cast<double>(row.total) / 1e6, total, 0.01 * total);
    EXPECT_NEAR(static_cast<double>(row.first_fit) / 1e6, first_fit, 0.001 * first_fit);
    EXPECT_NEAR(static_cast<double>(row.bound) / 1e6, bound, 0.001 * bound);
    EXPECT_EQ(row.arena, row.bound);
  }
}

TEST(OnncTable, L9OfTheLargeModelsActivationsIsAtMostTheArticlesShare) {
  EXPECT_LE(pack_net(testing::vgg19(1), Count::kWithoutWeights).share(), 0.205);
  EXPECT_LE(pack_net(yolov1(1), Count::kWithoutWeights).share(), 0.148);
  EXPECT_LE(pack_net(yolo9000(1), Count::kWithoutWeights).share(), 0.204);
}

}  // namespace
}  // namespace tidemark
