// Estimates without Python in the process: sizes from meta kernels, the same graph as a real step.
#include "tidemark/runtime/estimate.h"

#include <gtest/gtest.h>
#include <torch/nn.h>
#include <torch/optim/adamw.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tidemark/base/error.h"
#include "tidemark/plan/simulate.h"
#include "tidemark/runtime/memory_budget.h"

namespace tidemark {
namespace {

namespace nn = torch::nn;
using at::Tensor;

// A model, its optimizer, and one batch.
struct Program {
  nn::Sequential model;
  std::shared_ptr<torch::optim::Optimizer> optimizer;
  Tensor x;

  void step() {
    optimizer->zero_grad();
    result = model->forward(x);
    loss = result.square().mean();
    loss.backward();
    optimizer->step();
  }
  Tensor result;
  Tensor loss;
};

Program with_optimizer(nn::Sequential model, const Tensor& x) {
  auto optimizer = std::make_shared<torch::optim::AdamW>(model->parameters(), 1e-3);
  return {model, optimizer, x, {}, {}};
}

Program linear_layers(std::int64_t width, std::int64_t batch) {
  return with_optimizer(
      nn::Sequential(nn::Linear(width, width), nn::GELU(), nn::Dropout(0.1),
                     nn::LayerNorm(nn::LayerNormOptions({width})), nn::Linear(width, width)),
      at::ones({batch, width}));
}

Program convolutions() {
  auto convolution = [](int from, int to) {
    return nn::Conv2d(nn::Conv2dOptions(from, to, 3).padding(1));
  };
  return with_optimizer(
      nn::Sequential(convolution(3, 16), nn::BatchNorm2d(16), nn::ReLU(nn::ReLUOptions(true)),
                     convolution(16, 16), nn::BatchNorm2d(16), nn::MaxPool2d(2)),
      at::ones({8, 3, 16, 16}));
}

StepGraph record_really(Program& program) {
  MemoryBudget budget(kUnlimited);
  while (budget.counts().planned == 0) {
    auto scope = budget.step();
    program.step();
  }
  return *budget.graph();
}

std::vector<std::string> ops_of(const StepGraph& graph) {
  std::vector<std::string> ops;
  for (const Event& event : graph.events) {
    std::string text = event.name;
    for (const auto& shape : event.shapes) text += " " + shape;
    ops.push_back(text);
  }
  return ops;
}

std::vector<Bytes> sorted_bytes_of(const StepGraph& graph) {
  std::vector<Bytes> bytes;
  bytes.reserve(graph.values.size());
  for (const Value& value : graph.values) bytes.push_back(value.bytes);
  std::sort(bytes.begin(), bytes.end());
  return bytes;
}

void expect_alike(const StepGraph& estimated, const StepGraph& recorded) {
  EXPECT_TRUE(estimated.is_estimate);
  EXPECT_EQ(ops_of(estimated), ops_of(recorded));
  EXPECT_EQ(sorted_bytes_of(estimated), sorted_bytes_of(recorded));
  const auto peak = static_cast<double>(simulate(recorded).peak_bytes);
  EXPECT_NEAR(static_cast<double>(simulate(estimated).peak_bytes), peak, 0.02 * peak);
}

TEST(FakeDevice, EstimatesTheStepOfARealModelWithoutTouchingItsWeights) {
  for (Program& program : std::vector<Program>{linear_layers(64, 256), convolutions()}) {
    const Tensor weight = program.model->parameters()[0].detach();
    const Tensor before = weight.clone();

    FakeDevice device;
    const StepGraph estimated = device.record([&] { program.step(); });
    device.close();
    EXPECT_TRUE(at::equal(weight, before));

    Program fresh = program.x.dim() == 2 ? linear_layers(64, 256) : convolutions();
    expect_alike(estimated, record_really(fresh));
  }
}

TEST(FakeDevice, BuildsModelsThatNoMachineHereCouldHold) {
  constexpr std::int64_t kWidth = 300'000;
  FakeDevice device;
  Program program = device.build([] { return linear_layers(kWidth, 64); });
  const StepGraph graph = device.record([&] { program.step(); });

  // Two weights, each with its gradient and AdamW's two moments.
  EXPECT_GT(simulate(graph).peak_bytes, Bytes{8} * 4 * kWidth * kWidth);
  EXPECT_THROW(program.loss.data_ptr(), c10::Error);
}

TEST(FakeDevice, GivesEveryOpACost) {
  Program program = linear_layers(64, 256);
  FakeDevice device;
  const StepGraph graph = device.record([&] { program.step(); });
  for (const Event& event : graph.events) {
    EXPECT_EQ(event.kind == EventKind::kOp, event.cost_ns > 0) << event.name;
  }
}

TEST(FakeDevice, RefusesSizesThatDependOnData) {
  FakeDevice device;
  EXPECT_THROW(device.record([] { at::nonzero(at::ones({4})); }), NotSupported);
}

TEST(FakeDevice, OneAtATimeAndNotInsideAStep) {
  {
    FakeDevice device;
    EXPECT_THROW(FakeDevice(), std::logic_error);
  }
  MemoryBudget budget(kUnlimited);
  auto scope = budget.step();
  EXPECT_THROW(FakeDevice(), std::logic_error);
}

TEST(FakeDevice, GivesOpsBackToTorch) {
  { FakeDevice device; }
  EXPECT_EQ((at::ones({2}) + 1).sum().item<float>(), 4);
}

}  // namespace
}  // namespace tidemark
