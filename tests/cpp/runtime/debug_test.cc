// debug() switches off what budgets, inference and checkpoint do, without Python in the process.
#include "tidemark/runtime/debug.h"

#include <gtest/gtest.h>
#include <torch/nn.h>

#include "tidemark/runtime/checkpoint.h"
#include "tidemark/runtime/inference.h"
#include "tidemark/runtime/memory_budget.h"

namespace tidemark {
namespace {

namespace nn = torch::nn;
using at::Tensor;

TEST(Debug, LastsAsLongAsAnyOfItsScopes) {
  EXPECT_FALSE(is_debugging());
  {
    const auto outer = debug();
    { const auto inner = debug(); }
    EXPECT_TRUE(is_debugging());
  }
  EXPECT_FALSE(is_debugging());
}

// Steps of a chain whose values a budget of three fifths of its peak has to drop.
class Chain {
 public:
  void run(MemoryBudget& budget) {
    const auto step = budget.step();
    x_.mutable_grad() = Tensor();
    Tensor y = x_;
    for (int i = 0; i < 8; ++i) y = y.tanh().exp();
    y.sum().backward();
  }
  const Tensor& gradient() const { return x_.grad(); }

 private:
  Tensor x_ = at::linspace(-1, 1, 4096).requires_grad_();
};

TEST(Debug, WatchesAStepAndDropsNothing) {
  Chain chain;
  MemoryBudget unlimited(kUnlimited);
  for (int i = 0; i < 3; ++i) chain.run(unlimited);
  const Bytes peak = unlimited.peak_bytes();
  const Tensor expected = chain.gradient().clone();
  unlimited.close();

  MemoryBudget budget(peak * 3 / 5);
  for (int i = 0; i < 4; ++i) chain.run(budget);
  ASSERT_EQ(budget.last_step().kind, StepKind::kPlanned) << budget.last_step().difference;
  ASSERT_GT(budget.last_step().num_replays, 0);
  {
    const auto everything_off = debug();
    chain.run(budget);
  }
  EXPECT_EQ(budget.last_step().kind, StepKind::kWatched);
  EXPECT_EQ(budget.last_step().num_replays, 0);
  EXPECT_GT(budget.last_step().peak_bytes, budget.memory());
  EXPECT_TRUE(at::equal(chain.gradient(), expected));

  chain.run(budget);
  EXPECT_EQ(budget.last_step().kind, StepKind::kPlanned) << budget.last_step().difference;
  EXPECT_LE(budget.last_step().peak_bytes, budget.memory());
}

TEST(Debug, ServesNoInference) {
  nn::Linear model(8, 8);
  Inference serving;
  const auto call = [&] {
    const at::NoGradGuard no_grad;
    const auto scope = serving.call();
    model->forward(at::ones({4, 8}));
  };
  for (int i = 0; i < 4; ++i) call();
  const std::int64_t num_served = serving.counts().served;
  ASSERT_GT(num_served, 0);
  {
    const auto everything_off = debug();
    call();
  }
  EXPECT_EQ(serving.counts().served, num_served);
  call();
  EXPECT_GT(serving.counts().served, num_served);
}

TEST(Debug, RunsACheckpointedFunctionOnce) {
  int num_runs = 0;
  const auto run = [&](const Tensor& x) {
    ++num_runs;
    return x.exp();
  };
  const Tensor x = at::ones({4}).requires_grad_();
  const auto everything_off = debug();
  checkpoint(run, x).sum().backward();
  EXPECT_EQ(num_runs, 1);
}

}  // namespace
}  // namespace tidemark
