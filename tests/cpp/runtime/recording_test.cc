// record, estimate, verify and scope, as a program without Python writes them.
#include "tidemark/runtime/recording.h"

#include <gtest/gtest.h>
#include <torch/nn.h>
#include <torch/optim/adamw.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tidemark/plan/planner.h"
#include "tidemark/plan/signature.h"
#include "tidemark/runtime/named_scope.h"
#include "tidemark/runtime/verification.h"

namespace tidemark {
namespace {

namespace nn = torch::nn;

nn::Sequential make_model() {
  return nn::Sequential(nn::Linear(64, 256), nn::GELU(), nn::Dropout(0.1), nn::Linear(256, 256),
                        nn::BatchNorm1d(256), nn::Tanh(), nn::Linear(256, 8));
}

VerifiedStep make_step() {
  torch::manual_seed(3);
  auto model = make_model();
  auto optimizer = std::make_shared<torch::optim::AdamW>(model->parameters(), 1e-3);
  auto x = at::randn({256, 64});
  return {model.ptr(), [=]() mutable {
            optimizer->zero_grad();
            auto loss = model->forward(x).square().mean();
            loss.backward();
            optimizer->step();
            return loss;
          }};
}

// Of a model that is gone when it returns: what lives counts.
StepGraph record_one() {
  const VerifiedStep step = make_step();
  return record([&] { step.run(); });
}

Bytes budget_at(double share, const StepGraph& graph) {
  const Plan found = plan(graph, kUnlimited, {.least_feasible = true}).value();
  const Bytes least = *found.least_feasible_bytes;
  return least +
         static_cast<Bytes>(share * static_cast<double>(found.unplanned_peak_bytes - least));
}

TEST(Record, GivesTheStepThatTheBudgetMeets) {
  const StepGraph graph = record_one();

  MemoryBudget budget(budget_at(0.5, graph));
  const VerifiedStep step = make_step();
  for (int i = 0; i < 3; ++i) {
    auto scope = budget.step();
    step.run();
  }
  EXPECT_EQ(budget.last_step().kind, StepKind::kPlanned);
  EXPECT_EQ(graph_hash(*budget.graph()), graph_hash(graph));
}

TEST(Record, HoldsTheStepsToItsMemory) {
  const VerifiedStep step = make_step();
  EXPECT_THROW(record([&] { step.run(); }, kib(64)), c10::Error);
}

TEST(Estimate, SaysWhatFitsWithoutTraining) {
  const VerifiedStep step = make_step();
  const at::Tensor before = step.model->parameters().front().detach().clone();
  const Estimate needed = estimate([&] { step.run(); });

  EXPECT_TRUE(at::equal(step.model->parameters().front(), before));
  EXPECT_TRUE(needed.graph.is_estimate);
  EXPECT_TRUE(needed.fits(needed.peak_bytes()));
  EXPECT_FALSE(needed.fits(needed.peak_bytes() - 1));
  EXPECT_EQ(needed.plan.num_replays, 0);
}

TEST(Verify, FindsHeldStepsBitwiseEqual) {
  const Verification found = verify(make_step, budget_at(0.6, record_one()));

  EXPECT_EQ(to_text(found), "5 steps, 3 planned: bitwise equal");
  EXPECT_TRUE(found.is_exact());
}

TEST(Verify, NamesWhatDiffers) {
  int num_runs = 0;
  const Verification found = verify(
      [&] {
        VerifiedStep step = make_step();
        if (++num_runs == 2) {
          torch::NoGradGuard no_grad;
          step.model->named_parameters()["0.bias"].add_(1);
        }
        return step;
      },
      kUnlimited, 1);

  EXPECT_FALSE(found.is_exact());
  EXPECT_TRUE(
      std::count(found.differences.begin(), found.differences.end(), "step 0: parameter 0.bias"));
}

TEST(Scope, NamesOpsOfForwardAndBackward) {
  auto first = nn::Linear(8, 8), second = nn::Linear(8, 8);
  auto x = at::randn({4, 8});
  const StepGraph graph = record([&] {
    at::Tensor hidden;
    {
      auto encoder = scope("encoder");
      auto layer = scope("0");
      hidden = first->forward(x).tanh();
    }
    auto head = scope("head");
    second->forward(hidden).sum().backward();
    first->zero_grad();
    second->zero_grad();
  });

  std::vector<std::pair<std::string, std::string>> seen;
  for (const Event& event : graph.events) {
    if (event.name.find("tanh") != std::string::npos) seen.emplace_back(event.name, event.scope);
  }
  ASSERT_EQ(seen.size(), 2);
  for (const auto& [name, scope] : seen) EXPECT_EQ(scope, "encoder.0") << name;
}

}  // namespace
}  // namespace tidemark
