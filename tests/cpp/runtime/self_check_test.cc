#include "tidemark/runtime/self_check.h"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

TEST(SelfCheck, FindsThisTorchAsExpectedWhateverTheCallersGradMode) {
  const at::NoGradGuard no_grad;
  EXPECT_GE(self_check().size(), 9u);
  for (const auto& [name, problem] : self_check()) EXPECT_EQ(problem, "") << name;
  EXPECT_EQ(self_check_obstacle(), "");
}

}  // namespace
}  // namespace tidemark
