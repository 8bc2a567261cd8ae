// Trains LibTorch models without Python in the process: stock, then under budgets.
#include "tidemark/runtime/memory_budget.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/nn.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "tidemark/plan/planner.h"

namespace tidemark {
namespace {

namespace nn = torch::nn;
using at::Tensor;

constexpr int kNumSteps = 8;

// A model with what it is trained on: one batch per step.
struct Program {
  nn::Sequential model;
  std::unique_ptr<torch::optim::Optimizer> optimizer;
  Tensor inputs;
  Tensor targets;
};

Program convolutions() {
  nn::Sequential model(
      nn::Conv2d(nn::Conv2dOptions(3, 16, 3).padding(1)), nn::BatchNorm2d(16),
      nn::ReLU(nn::ReLUOptions(true)), nn::Conv2d(nn::Conv2dOptions(16, 16, 3).padding(1)),
      nn::BatchNorm2d(16), nn::ReLU(nn::ReLUOptions(true)), nn::Dropout(0.2),
      nn::MaxPool2d(nn::MaxPool2dOptions(2)), nn::Conv2d(nn::Conv2dOptions(16, 32, 3).padding(1)),
      nn::BatchNorm2d(32), nn::ReLU(), nn::AdaptiveAvgPool2d(nn::AdaptiveAvgPool2dOptions(4)),
      nn::Flatten(), nn::Dropout(0.5), nn::Linear(32 * 4 * 4, 10));
  auto options = torch::optim::SGDOptions(0.05).momentum(0.9).weight_decay(1e-4);
  auto optimizer = std::make_unique<torch::optim::SGD>(model->parameters(), options);
  return {model, std::move(optimizer), at::randn({kNumSteps, 16, 3, 32, 32}),
          at::randint(10, {kNumSteps, 16})};
}

Program transformer() {
  constexpr int kNumWords = 50;
  constexpr int kWidth = 64;
  auto layer = nn::TransformerEncoderLayerOptions(kWidth, 4).dim_feedforward(128).dropout(0.1);
  nn::Sequential model(nn::Embedding(kNumWords, kWidth),
                       nn::TransformerEncoder(nn::TransformerEncoderOptions(layer, 3)),
                       nn::Linear(kWidth, kNumWords));
  auto options = torch::optim::AdamWOptions(1e-3);
  auto optimizer = std::make_unique<torch::optim::AdamW>(model->parameters(), options);
  const Tensor text = at::randint(kNumWords, {kNumSteps + 1, 48, 16});
  return {model, std::move(optimizer), text.slice(0, 0, kNumSteps), text.slice(0, 1)};
}

// What training leaves behind; all of it has to be the same bits.
struct Trained {
  std::vector<Tensor> tensors;
  std::vector<std::string> names;
  std::vector<LastStep> steps;     // with a budget only
  std::optional<StepGraph> graph;  // with a budget only

  // Copies, so that later steps leave it alone.
  void add(std::string name, const Tensor& tensor) {
    names.push_back(std::move(name));
    tensors.push_back(tensor.detach().clone());
  }
};

Trained results_of(const Program& program, const Tensor& losses) {
  Trained trained;
  trained.add("losses", losses);
  for (const auto& item : program.model->named_parameters()) {
    trained.add(item.key(), item.value());
    trained.add("gradient of " + item.key(), item.value().grad());
  }
  for (const auto& item : program.model->named_buffers()) trained.add(item.key(), item.value());
  trained.add("generator", at::detail::getDefaultCPUGenerator().get_state());
  return trained;
}

using MakeProgram = Program (*)();

// `memory`: none trains without Tidemark.
Trained train(MakeProgram make, std::optional<Bytes> memory) {
  at::set_num_threads(1);  // waiting threads would cost more than they gain at these sizes
  at::manual_seed(7);
  Program program = make();
  std::optional<MemoryBudget> budget;
  if (memory) budget.emplace(*memory);
  std::vector<LastStep> steps;
  Tensor losses = at::zeros({kNumSteps});
  // Named here, so that every step but the first finds those of the step before.
  Tensor logits;
  Tensor loss;
  for (int i = 0; i < kNumSteps; ++i) {
    {
      std::optional<MemoryBudget::Scope> step;
      if (budget) step.emplace(*budget);
      program.optimizer->zero_grad();
      logits = program.model->forward(program.inputs[i]).flatten(0, -2);
      loss = at::cross_entropy_loss(logits, program.targets[i].flatten());
      loss.backward();
      program.optimizer->step();
    }
    losses[i].copy_(loss.detach());
    if (budget) steps.push_back(budget->last_step());
  }
  Trained trained = results_of(program, losses);
  trained.steps = std::move(steps);
  if (budget) trained.graph = *budget->graph();
  return trained;
}

void expect_same_bits(const Trained& actual, const Trained& expected) {
  ASSERT_EQ(actual.names, expected.names);
  for (std::size_t i = 0; i < actual.tensors.size(); ++i) {
    EXPECT_TRUE(at::equal(actual.tensors[i], expected.tensors[i])) << actual.names[i];
  }
}

// The first two steps are watched: the optimizer makes its state in the first.
void expect_planned_from_the_third(const Trained& trained) {
  for (int i = 0; i < kNumSteps; ++i) {
    const LastStep& step = trained.steps[i];
    SCOPED_TRACE("step " + std::to_string(i + 1));
    EXPECT_EQ(step.kind, i < 2 ? StepKind::kWatched : StepKind::kPlanned) << step.difference;
    if (i < 2) continue;
    EXPECT_EQ(step.peak_bytes, step.promised_bytes);
  }
}

struct Range {
  Bytes least = 0;
  Bytes unplanned = 0;
  Bytes at(double share) const {
    return least + static_cast<Bytes>(share * static_cast<double>(unplanned - least));
  }
};

Range range_of(const StepGraph& graph) {
  PlanOptions options;
  options.least_feasible = true;
  const Plan kept = plan(graph, kUnlimited, options).value();
  return {kept.least_feasible_bytes.value(), kept.unplanned_peak_bytes};
}

struct Case {
  const char* name;
  MakeProgram make;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class MemoryBudgetTest : public testing::TestWithParam<Case> {};

TEST_P(MemoryBudgetTest, WithoutALimitChangesNothing) {
  const Trained unlimited = train(GetParam().make, kUnlimited);
  expect_same_bits(unlimited, train(GetParam().make, std::nullopt));
  expect_planned_from_the_third(unlimited);
  EXPECT_EQ(unlimited.steps.back().num_replays, 0);
}

TEST_P(MemoryBudgetTest, TrainsTheSameBitsInsideBudgets) {
  const Trained stock = train(GetParam().make, std::nullopt);
  const Range range = range_of(*train(GetParam().make, kUnlimited).graph);
  EXPECT_GE(range.unplanned - range.least, range.unplanned / 4) << "too little to save";
  for (const double share : {0.5, 0.7, 0.9}) {
    SCOPED_TRACE("share of the range: " + std::to_string(share));
    const Bytes budget = range.at(share);
    const Trained planned = train(GetParam().make, budget);
    expect_same_bits(planned, stock);
    expect_planned_from_the_third(planned);
    for (const auto& step : planned.steps) EXPECT_LE(step.peak_bytes, budget);
    EXPECT_GT(planned.steps.back().num_replays, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, MemoryBudgetTest,
                         testing::Values(Case{"Convolutions", convolutions},
                                         Case{"Transformer", transformer}),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace tidemark
