// tidemark::checkpoint in a process without Python: the same bits, fewer bytes, clear errors.
#include "tidemark/runtime/checkpoint.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn.h>
#include <torch/optim/sgd.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tidemark/runtime/memory_budget.h"

namespace tidemark {
namespace {

namespace nn = torch::nn;
using at::Tensor;
using torch::autograd::grad;

// Counts the bytes of CPU storages while it is in front of the allocator it found.
class CountingAllocator final : public c10::Allocator {
 public:
  CountingAllocator() : under_(c10::GetAllocator(c10::kCPU)) {
    c10::SetAllocator(c10::kCPU, this, 1);
  }
  ~CountingAllocator() override { c10::SetAllocator(c10::kCPU, under_, 1); }

  c10::DataPtr allocate(std::size_t bytes) override {
    void* data = c10::alloc_cpu(bytes);
    if (data != nullptr) sizes[data] = static_cast<std::int64_t>(bytes);
    live += static_cast<std::int64_t>(bytes);
    return {data, data, &free_block, c10::Device(c10::kCPU)};  // oneDNN wants data == context
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

  static inline std::int64_t live = 0;
  static inline std::unordered_map<void*, std::int64_t> sizes;

 private:
  static void free_block(void* data) {
    if (data == nullptr) return;
    live -= sizes.at(data);
    sizes.erase(data);
    c10::free_cpu(data);
  }
  c10::Allocator* under_;
};

Tensor generator_state() { return at::detail::getDefaultCPUGenerator().get_state(); }

// A layer of everything: weights, random numbers, in-place, values that are saved and lost.
nn::Sequential make_layers() {
  return nn::Sequential(nn::Linear(16, 64), nn::GELU(), nn::Dropout(0.3), nn::Linear(64, 64),
                        nn::LayerNorm(nn::LayerNormOptions({64})), nn::ReLU(nn::ReLUOptions(true)),
                        nn::Linear(64, 16));
}

using Forward = std::function<Tensor(nn::Sequential&, const Tensor&)>;

Tensor plainly(nn::Sequential& model, const Tensor& x) { return model->forward(x); }

Tensor checkpointed(nn::Sequential& model, const Tensor& x) {
  return checkpoint([model](const Tensor& y) mutable { return model->forward(y); }, x);
}

// Outputs, gradients and what the generator draws next.
std::vector<Tensor> results_of(nn::Sequential model, const Forward& forward) {
  at::manual_seed(3);
  const Tensor x = at::randn({8, 16}).requires_grad_();
  model->zero_grad();
  const Tensor y = forward(model, x);
  const Tensor noise = at::rand({4});  // between forward and backward
  (y.square().sum() + noise.sum()).backward();
  std::vector<Tensor> results{y, x.grad(), noise, generator_state()};
  for (const auto& parameter : model->parameters()) results.push_back(parameter.grad().clone());
  return results;
}

void expect_same_bits(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    EXPECT_TRUE(at::equal(actual[i], expected[i])) << "result " << i;
  }
}

class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest() {
    at::set_num_threads(1);
    at::manual_seed(0);
  }
};

TEST_F(CheckpointTest, GivesBitwiseGradientsWithDropoutAndInPlace) {
  nn::Sequential model = make_layers();
  expect_same_bits(results_of(model, checkpointed), results_of(model, plainly));
}

TEST_F(CheckpointTest, NestsToAnyDepth) {
  nn::Sequential model = make_layers();
  const auto nested = [](nn::Sequential& layers, const Tensor& x) {
    return checkpoint(
        [layers](const Tensor& y) mutable {
          const Tensor inner = checkpoint(
              [layers](const Tensor& z) mutable { return checkpointed(layers, z.sin()); }, y.cos());
          return inner.exp();
        },
        x);
  };
  const auto flat = [](nn::Sequential& layers, const Tensor& x) {
    return layers->forward(x.cos().sin()).exp();
  };
  expect_same_bits(results_of(model, nested), results_of(model, flat));
}

TEST_F(CheckpointTest, FreesWhatItsFunctionSaved) {
  CountingAllocator counter;
  const auto kept_by = [&](bool with_checkpoint) {
    const Tensor x = at::randn({1000}).requires_grad_();
    const std::int64_t before = counter.live;
    const auto chain = [](const Tensor& y) { return y.sin().exp().cos().tanh().square(); };
    const Tensor result = with_checkpoint ? checkpoint(chain, x) : chain(x);
    return counter.live - before;
  };
  EXPECT_EQ(kept_by(false), 3 * 4000);  // the results of exp, tanh and square
  EXPECT_EQ(kept_by(true), 4000);       // the last result alone
}

TEST_F(CheckpointTest, AnOuterCallDropsTheArgumentsOfInnerOnes) {
  CountingAllocator counter;
  const Tensor x = at::randn({1000}).requires_grad_();
  const std::int64_t before = counter.live;
  const auto wave = [](const Tensor& y) { return y.sin().exp(); };
  const Tensor result = checkpoint(
      [&](const Tensor& y) {
        Tensor z = y;
        for (int i = 0; i < 6; ++i) z = checkpoint(wave, z);
        return z;
      },
      x);
  EXPECT_EQ(counter.live - before, 4000);
}

TEST_F(CheckpointTest, LeavesNothingBehindAfterBackward) {
  CountingAllocator counter;
  nn::Sequential model = make_layers();
  results_of(model, checkpointed);  // gradients exist from now on
  const std::int64_t before = counter.live;
  for (int i = 0; i < 10; ++i) results_of(model, checkpointed);
  EXPECT_EQ(counter.live, before);
}

TEST_F(CheckpointTest, UpdatesRunningStatisticsInEachRun) {
  const Tensor x = at::randn({32, 4});
  const auto statistics_after = [&](int num_forwards, bool with_checkpoint) {
    nn::BatchNorm1d norm(4);
    const Tensor input = x.clone().requires_grad_();
    for (int i = 0; i < num_forwards; ++i) {
      auto run = [norm](const Tensor& y) mutable { return norm(y).sigmoid(); };
      const Tensor y = with_checkpoint ? checkpoint(run, input) : run(input);
      y.square().sum().backward();
    }
    return std::vector<Tensor>{norm->running_mean, norm->running_var, norm->num_batches_tracked};
  };
  expect_same_bits(statistics_after(1, true), statistics_after(2, false));
}

TEST_F(CheckpointTest, GivesBitwiseGradientsThroughBatchNorm) {
  const Tensor x = at::randn({32, 4});
  const auto gradients = [&](bool with_checkpoint) {
    nn::BatchNorm1d norm(4);
    const Tensor input = x.clone().requires_grad_();
    auto run = [norm](const Tensor& y) mutable { return norm(y).sigmoid(); };
    (with_checkpoint ? checkpoint(run, input) : run(input)).square().sum().backward();
    return std::vector<Tensor>{input.grad(), norm->weight.grad(), norm->bias.grad()};
  };
  expect_same_bits(gradients(true), gradients(false));
}

TEST_F(CheckpointTest, TakesArgumentsOfEveryKind) {
  const Tensor x = at::randn({4, 4}).requires_grad_();
  const std::vector<Tensor> list{at::randn({4, 4}).requires_grad_(), at::randn({4, 4})};
  const auto run = [](const Tensor& a, const std::vector<Tensor>& many,
                      const std::optional<Tensor>& bias, const std::string& how, double scale) {
    Tensor y = a.matmul(many[0]).add(many[1]).mul(scale);
    if (bias) y = y + *bias;
    return std::make_tuple(how == "exp" ? y.exp() : y.sin(), y.tanh());
  };
  const auto [exp, tanh] =
      checkpoint(run, x, list, std::optional<Tensor>(), std::string("exp"), 0.5);
  const auto [exp0, tanh0] = run(x, list, std::nullopt, "exp", 0.5);
  expect_same_bits(grad({(exp * tanh).sum()}, {x, list[0]}),
                   grad({(exp0 * tanh0).sum()}, {x, list[0]}));
}

TEST_F(CheckpointTest, RunsOnlyAsFarAsBackwardNeeds) {
  const Tensor x = at::randn({4}).requires_grad_();
  int begun = 0;
  int ended = 0;
  const auto run = [&](const Tensor& y) {
    ++begun;
    Tensor z = y.exp();
    ++ended;
    return z;
  };
  checkpoint(run, x).sum().backward();
  EXPECT_EQ(begun, 2);
  EXPECT_EQ(ended, 1);
}

TEST_F(CheckpointTest, ServesRetainedGraphsAndSecondDerivatives) {
  const Tensor x = at::randn({4}).requires_grad_();
  const auto run = [](const Tensor& y) { return y.sin().exp().square(); };
  const Tensor loss = checkpoint(run, x).sum();
  const Tensor loss0 = run(x).sum();
  for (int i = 0; i < 2; ++i) {
    expect_same_bits(grad({loss}, {x}, {}, true), grad({loss0}, {x}, {}, true));
  }
  const Tensor first = grad({loss}, {x}, {}, true, true)[0];
  const Tensor first0 = grad({loss0}, {x}, {}, true, true)[0];
  expect_same_bits(grad({first.sum()}, {x}), grad({first0.sum()}, {x}));
}

TEST_F(CheckpointTest, LetsItsFunctionCallBackward) {
  const Tensor x = at::randn({4}).requires_grad_();
  const auto run = [](const Tensor& y) {
    const Tensor z = y.sin().exp();
    return grad({z.sum()}, {y}, {}, true, true)[0].square();
  };
  expect_same_bits(grad({checkpoint(run, x).sum()}, {x}), grad({run(x).sum()}, {x}));
}

TEST_F(CheckpointTest, PutsAnExplicitGeneratorBack) {
  const Tensor x = at::randn({64}).requires_grad_();
  const auto run = [](const Tensor& y, at::Generator own) {
    return (y * at::rand({64}, own)).exp();
  };
  at::Generator own = at::detail::createCPUGenerator(5);
  const Tensor gradient = grad({checkpoint(run, x, own).sum()}, {x})[0];
  const Tensor drawn = at::rand({4}, own);

  at::Generator other = at::detail::createCPUGenerator(5);
  EXPECT_TRUE(at::equal(gradient, grad({run(x, other).sum()}, {x})[0]));
  EXPECT_TRUE(at::equal(drawn, at::rand({4}, other)));
}

TEST_F(CheckpointTest, RunsAgainUnderTheAutocastOfTheCall) {
  nn::Linear layer(16, 16);
  const Tensor x = at::randn({8, 16});
  const auto gradient = [&](bool with_checkpoint) {
    layer->zero_grad();
    at::autocast::set_autocast_enabled(at::kCPU, true);
    auto run = [layer](const Tensor& y) mutable { return layer(layer(y).relu()); };
    const Tensor y = with_checkpoint ? checkpoint(run, x) : run(x);
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, false);
    EXPECT_EQ(y.scalar_type(), at::kBFloat16);
    y.sum().backward();
    EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
    return std::vector<Tensor>{layer->weight.grad().clone(), layer->bias.grad().clone()};
  };
  expect_same_bits(gradient(true), gradient(false));
}

TEST_F(CheckpointTest, IsAPlainCallWithoutGradMode) {
  at::NoGradGuard no_grad;
  const Tensor y = checkpoint([](const Tensor& x) { return x.exp(); }, at::ones({2}));
  EXPECT_FALSE(y.requires_grad());
}

std::string mismatch_of(const std::function<Tensor(const Tensor&)>& run) {
  const Tensor loss = checkpoint(run, at::ones({8}).requires_grad_()).sum();
  try {
    loss.backward();
  } catch (const ReplayMismatch& error) {
    return error.what();
  }
  return "";
}

TEST_F(CheckpointTest, NamesTheFirstTensorThatDiffers) {
  int calls = 0;
  const std::string text =
      mismatch_of([&](const Tensor& x) { return x.slice(0, 0, ++calls).sin().mul(2).exp(); });
  EXPECT_NE(text.find("saved tensor 0 of 2 was Float[1] on cpu from SliceBackward0 and is now "
                      "Float[2] on cpu from SliceBackward0"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("ExpBackward0"), std::string::npos) << text;
}

TEST_F(CheckpointTest, SaysWhenTheSecondRunSavesLess) {
  int calls = 0;
  const std::string text =
      mismatch_of([&](const Tensor& x) { return ++calls == 1 ? x.sin().exp() : x.sin(); });
  EXPECT_NE(text.find("the forward saved 2 tensors and this run only 1"), std::string::npos)
      << text;
}

TEST_F(CheckpointTest, LetsExceptionsThroughAndForgetsThem) {
  const Tensor x = at::randn({4}).requires_grad_();
  int calls = 0;
  const auto run = [&](const Tensor& y) {
    const Tensor z = y.sin();
    if (++calls < 3) throw std::domain_error("mine");
    return z.exp();
  };
  EXPECT_THROW(checkpoint(run, x), std::domain_error);

  calls = 2;
  const Tensor loss = checkpoint(run, x).sum();
  calls = 1;
  EXPECT_THROW(grad({loss}, {x}, {}, true), std::domain_error);
  expect_same_bits(grad({loss}, {x}), grad({run(x).sum()}, {x}));
}

TEST_F(CheckpointTest, KeepsAutogradsErrorsAboutWritesInPlace) {
  const Tensor x = at::randn({4}).requires_grad_();
  const Tensor y = x.sin();
  const Tensor loss = checkpoint([](const Tensor& z) { return z.mul(3).exp(); }, y).sum();
  y.mul_(2);  // an argument
  EXPECT_THROW(loss.backward(), c10::Error);

  const auto run = [](const Tensor& z) {
    Tensor saved = z.exp();
    return saved.mul_(2);
  };
  EXPECT_THROW(run(x).sum().backward(), c10::Error);
  EXPECT_THROW(checkpoint(run, x).sum().backward(), c10::Error);
}

TEST_F(CheckpointTest, IsExactInsideTheStepsOfABudget) {
  const auto train = [](std::optional<Bytes> memory, std::vector<StepKind>* kinds) {
    at::manual_seed(7);
    nn::Sequential model = make_layers();
    nn::Sequential second = make_layers();
    auto parameters = model->parameters();
    for (const auto& parameter : second->parameters()) parameters.push_back(parameter);
    torch::optim::SGD optimizer(parameters, torch::optim::SGDOptions(0.05).momentum(0.9));
    std::optional<MemoryBudget> budget;
    if (memory) budget.emplace(*memory);
    Tensor loss;
    Bytes peak = 0;
    for (int i = 0; i < 6; ++i) {
      const Tensor x = at::randn({64, 16});
      std::optional<MemoryBudget::Scope> step;
      if (budget) step.emplace(*budget);
      optimizer.zero_grad();
      loss = second->forward(checkpointed(model, model->forward(x))).square().mean();
      loss.backward();
      optimizer.step();
      step.reset();
      if (!budget) continue;
      kinds->push_back(budget->last_step().kind);
      peak = std::max(peak, budget->last_step().peak_bytes);
    }
    budget.reset();  // what follows is not the loop's
    std::vector<Tensor> results{loss.detach().clone(), generator_state()};
    for (const auto& parameter : parameters) results.push_back(parameter.detach().clone());
    return std::pair(results, peak);
  };
  std::vector<StepKind> kinds;
  const auto [stock, none] = train(std::nullopt, nullptr);
  const auto [kept, peak] = train(kUnlimited, &kinds);
  expect_same_bits(kept, stock);
  const Bytes budget = peak * 9 / 10;
  const auto [held, held_peak] = train(budget, &kinds);
  expect_same_bits(held, stock);
  EXPECT_LE(held_peak, budget);
  for (const int run : {0, 6}) {
    for (int i = 2; i < 6; ++i) EXPECT_EQ(kinds[run + i], StepKind::kPlanned) << run << " " << i;
  }
}

}  // namespace
}  // namespace tidemark
