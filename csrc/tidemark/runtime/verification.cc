#include "tidemark/runtime/verification.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/equal.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn/module.h>

#include <map>
#include <optional>
#include <utility>

#include "tidemark/runtime/memory_budget.h"

namespace tidemark {
namespace {

using State = std::map<std::string, at::Tensor>;  // undefined where nothing is

State state_of(const torch::nn::Module& model, const at::Tensor& loss) {
  State state;
  state["generator state"] = at::detail::getDefaultCPUGenerator().get_state();
  state["loss"] = loss;
  for (const auto& parameter : model.named_parameters()) {
    state["parameter " + parameter.key()] = parameter.value();
    state["gradient of " + parameter.key()] = parameter.value().grad();
  }
  for (const auto& buffer : model.named_buffers()) state["buffer " + buffer.key()] = buffer.value();
  return state;
}

State copy_of(State state) {
  for (auto& [name, tensor] : state) {
    if (tensor.defined()) tensor = tensor.detach().clone();
  }
  return state;
}

bool is_same(const at::Tensor& before, const at::Tensor& after) {
  if (!before.defined() || !after.defined()) return before.defined() == after.defined();
  return at::equal(before, after);
}

void run(const std::function<VerifiedStep()>& make_step, int steps, MemoryBudget* budget,
         const std::function<void(int, State)>& look) {
  const VerifiedStep step = make_step();
  for (int i = 0; i < steps; ++i) {
    at::Tensor loss;
    {
      std::optional<MemoryBudget::Scope> scope;
      if (budget != nullptr) scope.emplace(*budget);
      loss = step.run();
    }
    look(i, state_of(*step.model, loss));
  }
}

}  // namespace

std::string to_text(const Verification& verification) {
  return fmt::format("{} steps, {} planned: {}", verification.num_steps, verification.num_planned,
                     verification.is_exact()
                         ? "bitwise equal"
                         : fmt::format("{}", fmt::join(verification.differences, "; ")));
}

Verification verify(const std::function<VerifiedStep()>& make_step, Bytes memory, int steps) {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const at::Tensor generator_state = generator.get_state();
  std::vector<State> expected;
  run(make_step, steps, nullptr,
      [&](int, State state) { expected.push_back(copy_of(std::move(state))); });
  generator.set_state(generator_state);

  Verification result;
  MemoryBudget budget(memory);
  // Compared at once, and without copies, which would count.
  run(make_step, steps, &budget, [&](int step, State state) {
    for (const auto& [name, before] : expected[static_cast<std::size_t>(step)]) {
      if (!is_same(before, state[name])) {
        result.differences.push_back(fmt::format("step {}: {}", step, name));
      }
    }
  });
  generator.set_state(generator_state);
  result.num_steps = steps;
  result.num_planned = static_cast<int>(budget.counts().planned);
  return result;
}

}  // namespace tidemark
