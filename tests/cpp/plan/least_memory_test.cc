#include "tidemark/plan/least_memory.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tidemark/generate/generate.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/simulate.h"
#include "tidemark/plan/validate.h"

namespace tidemark {
namespace {

StepGraph step(const char* model, std::int64_t batch) {
  return generate(model, {.batch = batch, .optimizer = Optimizer::kNothing});
}

TEST(LeastMemory, GoesDownWithTheSlowdownAllowed) {
  const StepGraph graph = step("resnet18", 8);
  Bytes last = simulate(graph).peak_bytes + 1;
  for (double slowdown : {1.0, 1.05, 1.33}) {
    const auto answer = least_memory_plan(graph, slowdown, {.policy = "lookahead"});
    ASSERT_TRUE(answer);
    EXPECT_LT(answer->peak_bytes, last);
    EXPECT_LE(static_cast<double>(answer->recompute_ns),
              (slowdown - 1) * static_cast<double>(answer->step_ns));
    EXPECT_FALSE(validate(graph, *answer));
    last = answer->peak_bytes;
  }
  EXPECT_THROW(static_cast<void>(least_memory_plan(graph, 0.9)), std::invalid_argument);
}

TEST(LeastMemory, IsRefusedWhereWishesTakeLongerThanTheSlowdown) {
  const StepGraph graph = step("resnet18", 8);
  const PlanOptions options{.policy = "lookahead", .wishes = {.recompute = {"relu*"}}};
  EXPECT_TRUE(least_memory_plan(graph, 1.5, options));
  EXPECT_THROW(static_cast<void>(least_memory_plan(graph, 1.0, options)), std::invalid_argument);
}

TEST(StepAtBatch, IsTheStepThatWouldHaveBeenRecordedThere) {
  const StepGraph four = step("unet", 4);
  const StepGraph eight = step("unet", 8);
  const StepGraph expected = step("unet", 20);
  const StepGraph scaled = step_at_batch({four, 4}, {eight, 8}, 20);
  EXPECT_NO_THROW(check(scaled));
  EXPECT_EQ(simulate(scaled).peak_bytes, simulate(expected).peak_bytes);
  EXPECT_NEAR(static_cast<double>(simulate(scaled).step_ns),
              static_cast<double>(simulate(expected).step_ns), 1000);
  EXPECT_EQ(simulate(step_at_batch({four, 4}, {eight, 8}, 4)).peak_bytes,
            simulate(four).peak_bytes);
}

TEST(StepAtBatch, RefusesTwoDifferentSteps) {
  const StepGraph a = step("chain4", 8);
  const StepGraph b = step("chain5", 16);
  EXPECT_THROW(static_cast<void>(step_at_batch({a, 8}, {b, 16}, 4)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(step_at_batch({a, 8}, {a, 8}, 4)), std::invalid_argument);
}

// Checkmate, certified: VGG-19 with 289 samples where 167 fit unplanned, on 16 GB.
TEST(MaxBatch, OfVgg19IsAtLeastThatOfCheckmate) {
  const StepGraph small = step("vgg19", 16);
  const StepGraph large = step("vgg19", 32);
  const MaxBatch found = max_batch({small, 16}, {large, 32}, gib(16), 1.34);
  RecordProperty("unplanned", static_cast<int>(found.unplanned_batch));
  RecordProperty("planned", static_cast<int>(found.batch));
  EXPECT_GE(static_cast<double>(found.batch), 1.73 * static_cast<double>(found.unplanned_batch));
  EXPECT_LE(found.plan.peak_bytes, gib(16));
}

TEST(MaxBatch, IsZeroWhereTheWeightsAloneDoNotFit) {
  const StepGraph small = step("chain4", 8);
  const StepGraph large = step("chain4", 16);
  EXPECT_EQ(max_batch({small, 8}, {large, 16}, mib(1), 2).batch, 0);
}

}  // namespace
}  // namespace tidemark
