// Calls a LibTorch model without Python in the process.
#include "tidemark/runtime/inference.h"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/nn.h>

#include <stdexcept>
#include <vector>

namespace tidemark {
namespace {

namespace nn = torch::nn;

TEST(Inference, AnswersTheSameFromOneBlockOfMemory) {
  const at::NoGradGuard no_grad;
  nn::Sequential model(nn::Linear(8, 64), nn::ReLU(), nn::Linear(64, 64), nn::Tanh());
  Inference serving({.poison = true});
  std::vector<at::Tensor> kept;
  for (int i = 0; i < 20; ++i) {
    const at::Tensor x = at::full({4, 8}, 0.1 * i);
    const at::Tensor expected = model->forward(x);
    {
      const auto call = serving.call();
      kept.push_back(model->forward(x));
    }
    EXPECT_TRUE(at::equal(kept.back(), expected));
  }
  serving.close();
  EXPECT_EQ(serving.counts().mappings, 1);
  EXPECT_EQ(serving.counts().fallen_back, 0);
  EXPECT_GT(serving.counts().served, 0);
  EXPECT_THROW(serving.enter(), std::logic_error);
}

}  // namespace
}  // namespace tidemark
