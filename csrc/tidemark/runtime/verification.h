// verify: runs steps with and without a budget and compares everything, bit for bit.
//
//   auto make_step = [] {
//     torch::manual_seed(0);
//     auto model = std::make_shared<Net>();
//     return tidemark::VerifiedStep{model, [=] { return train_one_step(model); }};
//   };
//   tidemark::verify(make_step, tidemark::mib(64)).is_exact();
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"

namespace torch::nn {
class Module;
}

namespace tidemark {

// A model, and one training step of it, which returns the loss (or an undefined tensor).
struct VerifiedStep {
  std::shared_ptr<torch::nn::Module> model;
  std::function<at::Tensor()> run;
};

// What two runs of the same steps gave.
struct Verification {
  int num_steps = 0;                     // of each run
  int num_planned = 0;                   // of those under the budget
  std::vector<std::string> differences;  // "step 3: gradient of fc.weight", ...

  bool is_exact() const { return differences.empty(); }
};

// "5 steps, 3 planned: bitwise equal", or what differed.
TIDEMARK_API std::string to_text(const Verification& verification);

// Runs `steps` steps (the first two are watched) without a budget and held to `memory` bytes.
// Compares loss, parameters, gradients, buffers and the state of the CPU's generator after each
// step; afterwards the generator is as it was. `make_step` builds everything anew, equal every
// time: seed it. Throws as MemoryBudget does.
TIDEMARK_API Verification verify(const std::function<VerifiedStep()>& make_step, Bytes memory,
                                 int steps = 5);

}  // namespace tidemark
