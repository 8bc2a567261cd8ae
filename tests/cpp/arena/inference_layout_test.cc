// Layouts of inference programs of the literature, in the arena of their own lifetimes.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "graph/inference_nets.h"
#include "tidemark/arena/baselines.h"
#include "tidemark/arena/pack.h"
#include "tidemark/graph/use_lifetime.h"

namespace tidemark {
namespace {

using testing::lenet;
using testing::NetBuilder;

enum class What : std::uint8_t { kEverything, kMade };  // kMade: not the input, not weights

Instance instance_of(const StepGraph& graph, LoadStyle style, What what) {
  const UseLifetimes lives = use_lifetimes(graph, style);
  Instance instance;
  for (const Value& value : graph.values) {
    if (value.version > 0 || (what == What::kMade && value.producer == kNone)) continue;
    const Interval life = lives.blocks[value.block];
    instance.buffers.push_back(
        {.begin = life.begin, .end = life.end, .size = value.bytes, .name = value.scope});
  }
  return instance;
}

TEST(InferenceLayout, L6OfLenetByFirstFitIsTheArticlesFigure) {
  const std::map<std::string, Bytes> table = {
      {"data_0", 0},      {"conv1_w_0", 3136},  {"conv1_b_0", 5136}, {"conv1_1", 5216},
      {"pool1_1", 51296}, {"conv2_w_0", 62816}, {"conv2_b_0", 0},    {"conv2_1", 200},
      {"pool2_1", 13000}, {"shape", 0},         {"reshape", 16},     {"ip1_w", 3216},
      {"ip1_b", 1603216}, {"ip1_1", 1605216},   {"ip1_2", 0},        {"ip2_w", 2000},
      {"ip2_b", 22000},   {"ip2_1", 22040},     {"prob_1", 0}};
  Instance instance = instance_of(lenet(), LoadStyle::kBeforeUse, What::kEverything);
  const Layout layout = pack_as(Baseline::kOnncFirstFit, instance);
  for (std::size_t row = 0; row < instance.buffers.size(); ++row) {
    EXPECT_EQ(layout.offsets[row], table.at(instance.buffers[row].name))
        << instance.buffers[row].name;
  }
  EXPECT_EQ(layout.height, 1607216);
}

TEST(InferenceLayout, L7OfLenetReachesTheLowerBound) {
  const Packing packing = pack(instance_of(lenet(), LoadStyle::kBeforeUse, What::kEverything));
  EXPECT_EQ(packing.layout.height, 1607200);
  EXPECT_EQ(packing.status, PackStatus::kOptimal);
}

// MobileNets at 224 x 224, float32, batch 1, batch norms folded and activations fused, as TFLite
// has them; MiB of all tensors and of the arena from Pisarchyk & Lee 2020.
class MobileNet {
 public:
  explicit MobileNet() : x_(net_.source("image", bytes(224, 3))) {}

  StepGraph v1() {
    conv(32, 2);
    const int blocks[][2] = {{64, 1},  {128, 2}, {128, 1}, {256, 2}, {256, 1},  {512, 2}, {512, 1},
                             {512, 1}, {512, 1}, {512, 1}, {512, 1}, {1024, 2}, {1024, 1}};
    for (const auto& [channels, stride] : blocks) {
      conv(channels_, stride);
      conv(channels, 1);
    }
    return classify();
  }

  StepGraph v2() {
    conv(32, 2);
    const int stages[][4] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                             {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    for (const auto& [expansion, channels, repeats, stride] : stages) {
      for (int k = 0; k < repeats; ++k) bottleneck(expansion, channels, k == 0 ? stride : 1);
    }
    conv(1280, 1);
    return classify();
  }

 private:
  static Bytes bytes(int side, int channels) { return Bytes{4} * side * side * channels; }

  // Any convolution, depthwise ones too: what counts is the size of what it makes.
  void conv(int channels, int stride) {
    side_ /= stride;
    channels_ = channels;
    x_ = net_.op("conv", {x_}, bytes(side_, channels_));
  }

  void bottleneck(int expansion, int channels, int stride) {
    const ValueIndex input = x_;
    const bool has_skip = stride == 1 && channels == channels_;
    if (expansion > 1) conv(expansion * channels_, 1);
    conv(channels_, stride);
    conv(channels, 1);
    if (has_skip) x_ = net_.op("add", {input, x_}, bytes(side_, channels_));
  }

  StepGraph classify() {
    side_ = 1;
    x_ = net_.op("pool", {x_}, bytes(1, channels_));
    x_ = net_.op("classes", {x_}, bytes(1, 1001));
    return net_.finish(net_.op("softmax", {x_}, bytes(1, 1001)));
  }

  NetBuilder net_;
  ValueIndex x_;
  int side_ = 224;
  int channels_ = 3;
};

double mebibytes(Bytes bytes) { return static_cast<double>(bytes) / (1 << 20); }

TEST(InferenceLayout, OfTheMobileNetsIsTheirPublishedLowerBound) {
  const std::pair<StepGraph, double> nets[] = {{MobileNet().v1(), 4.594},
                                               {MobileNet().v2(), 5.742}};
  for (const auto& [graph, published] : nets) {
    const Instance instance = instance_of(graph, LoadStyle::kOpsOnly, What::kMade);
    const Packing packing = pack(instance);
    EXPECT_EQ(packing.layout.height, packing.lower_bound);
    EXPECT_EQ(pack_as(Baseline::kTfliteBySize, instance).height, packing.lower_bound);
    EXPECT_NEAR(mebibytes(packing.lower_bound), published, 0.0005);
  }
}

// I1: NNTrainer's inference buffer, as large as the largest layer's input and output together.
TEST(InferenceLayout, I1OfAChainIsItsLargestLayer) {
  NetBuilder net;
  const Bytes sizes[] = {300, 800, 200, 900, 900, 100, 50, 1700, 10};
  ValueIndex x = net.source("input", 64);
  for (const Bytes size : sizes) x = net.op("layer", {x}, size);
  const StepGraph graph = net.finish(x);
  EXPECT_EQ(pack(instance_of(graph, LoadStyle::kOpsOnly, What::kMade)).layout.height, 900 + 900);
}

}  // namespace
}  // namespace tidemark
