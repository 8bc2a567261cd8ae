#include "tidemark/runtime/write_check.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "tidemark/runtime/memory_budget.h"

namespace tidemark {
namespace {

MemoryBudgetOptions checked() {
  MemoryBudgetOptions options;
  options.check_writes = true;
  return options;
}

void run_step(MemoryBudget& budget, bool writes_unseen) {
  auto step = budget.step();
  const at::Tensor weight = at::ones({16}).requires_grad_();
  const at::Tensor x = at::full({16}, 0.5);
  const at::Tensor y = at::sin(x * weight);
  if (writes_unseen) x.mutable_data_ptr<float>()[3] = 7;
  (at::cos(x) + y).sum().backward();
}

TEST(WriteCheck, NamesTheOpThatMetAnUnseenWriteAndTheOneBefore) {
  MemoryBudget budget(kUnlimited, checked());
  try {
    run_step(budget, true);
    FAIL() << "nothing was found";
  } catch (const UnseenWrite& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("argument 0 (f32[16]) of aten::cos"), std::string::npos) << text;
    EXPECT_NE(text.find("have changed since aten::"), std::string::npos) << text;
    EXPECT_EQ(budget.unseen_write(), text);
  }
}

TEST(WriteCheck, IsSilentWhereOpsDoTheWriting) {
  MemoryBudget budget(kUnlimited, checked());
  for (int i = 0; i < 4; ++i) run_step(budget, false);
  EXPECT_EQ(budget.unseen_write(), "");
  EXPECT_EQ(budget.last_step().kind, StepKind::kPlanned);
}

TEST(MemoryBudgetThatChanges, TakesSizesBetweenStepsAlone) {
  MemoryBudget budget(gib(1));
  {
    auto step = budget.step();
    EXPECT_THROW(budget.set_memory(gib(2)), std::logic_error);
  }
  EXPECT_ANY_THROW(budget.set_memory(0));
  budget.set_memory(gib(2));
  EXPECT_EQ(budget.memory(), gib(2));
}

}  // namespace
}  // namespace tidemark
