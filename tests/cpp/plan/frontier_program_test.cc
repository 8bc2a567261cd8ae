#include "tidemark/plan/frontier_program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tidemark/generate/generate.h"
#include "tidemark/plan/candidate.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/validate.h"

namespace tidemark {
namespace {

class FrontierSchedules : public ::testing::TestWithParam<std::string> {};

TEST_P(FrontierSchedules, GetSchedulesThatCanBeFollowedAndTakeLittle) {
  const StepGraph graph = generate(GetParam(), {.optimizer = Optimizer::kNothing});
  const Problem problem(graph);
  const FrontierProgram program(problem, 50);
  const Bytes floor = memory_floor(problem).bytes;
  const Bytes peak = problem.unplanned().peak_bytes;
  const auto schedule = program.schedule(floor + (peak - floor) / 2);
  ASSERT_TRUE(schedule);
  const auto candidate = judge(problem, *schedule);
  ASSERT_TRUE(candidate);
  EXPECT_LT(candidate->simulation.peak_bytes, floor + (peak - floor) * 3 / 4);
  EXPECT_LT(candidate->simulation.recompute_ns, candidate->simulation.step_ns / 2);
  const Plan plan = make_plan(problem, candidate->actions, "mincut", peak);
  EXPECT_FALSE(validate(graph, plan));
}

TEST_P(FrontierSchedules, KeepEverythingWithAllTheirMemory) {
  const StepGraph graph = generate(GetParam(), {.optimizer = Optimizer::kNothing});
  const Problem problem(graph);
  const auto schedule = FrontierProgram(problem, 50).schedule(2 * problem.unplanned().peak_bytes);
  ASSERT_TRUE(schedule);
  EXPECT_TRUE(schedule->empty());
}

TEST_P(FrontierSchedules, HaveNoScheduleBelowTheirFloor) {
  const StepGraph graph = generate(GetParam(), {.optimizer = Optimizer::kNothing});
  const Problem problem(graph);
  EXPECT_FALSE(FrontierProgram(problem, 50).schedule(memory_floor(problem).bytes / 2));
}

TEST_P(FrontierSchedules, LeaveAsideWhatLiesThereAnyway) {
  constexpr Bytes kOther = 60'000'000'000;
  StepGraph graph = generate(GetParam(), {.optimizer = Optimizer::kNothing});
  const Problem alone(graph);
  const Bytes bytes = memory_floor(alone).bytes + alone.unplanned().peak_bytes / 4;
  const auto expected = FrontierProgram(alone, 50).schedule(bytes);
  graph.entry.other_bytes += kOther;
  const Problem problem(graph);
  const FrontierProgram program(problem, 50);
  EXPECT_EQ(program.schedule(bytes + kOther), expected);
  EXPECT_FALSE(program.schedule(program.fixed_bytes() * 9 / 10));
}

INSTANTIATE_TEST_SUITE_P(Generated, FrontierSchedules,
                         ::testing::Values("resnet50", "unet", "treelstm16", "chain100"));

}  // namespace
}  // namespace tidemark
