// The C++ snippet of README.md, cut out of it by CMake, compiled and run as it stands there.
#include <gtest/gtest.h>
#include <torch/nn.h>
#include <torch/optim/sgd.h>

#include <memory>
#include <vector>

#include "tidemark/tidemark.h"

namespace {

struct Batch {
  at::Tensor data;
  at::Tensor target;
};

TEST(Readme, TheSnippetTrainsUnderItsBudget) {
  auto model = std::make_shared<torch::nn::LinearImpl>(8, 4);
  torch::nn::CrossEntropyLoss loss_fn;
  torch::optim::SGD optimizer(model->parameters(), torch::optim::SGDOptions(0.1).momentum(0.9));
  auto loader =
      std::make_unique<std::vector<Batch>>(5, Batch{at::randn({16, 8}), at::randint(4, {16})});
  const at::Tensor before = model->weight.detach().clone();

#include "readme_snippet.inc"

  EXPECT_EQ(budget.counts().planned, 3);
  EXPECT_FALSE(at::equal(model->weight, before));
}

}  // namespace
