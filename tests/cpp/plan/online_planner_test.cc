#include "tidemark/plan/online_planner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "plan/chain.h"
#include "tidemark/generate/generate.h"
#include "tidemark/generate/synthetic_models.h"
#include "tidemark/plan/evicted_neighbourhood.h"
#include "tidemark/plan/simulate.h"

namespace tidemark {
namespace {

StepGraph unit_chain(int n) {
  const std::vector<ChainStage> stages(static_cast<std::size_t>(n),
                                       {.output_bytes = 100, .forward_ns = 10});
  return chain_step(stages, 0);
}

TEST(EvictedNeighbourhood, CostsTheClassesBesideAValueOnceEach) {
  const StepGraph graph = unit_chain(6);
  const Problem problem(graph);
  EvictedNeighbourhood evicted(problem);
  EXPECT_EQ(evicted.cost_beside(3), 0);
  evicted.evict(1);
  evicted.evict(2);  // values 1 and 2 touch: one class
  evicted.evict(4);
  EXPECT_EQ(evicted.cost_beside(3), 30);
  evicted.evict(3);
  EXPECT_EQ(evicted.cost_beside(5), 40);
  evicted.bring_back(1);
  // The cost is subtracted, the class stays one.
  EXPECT_EQ(evicted.cost_beside(5), 30);
  EXPECT_EQ(evicted.cost_beside(1), 30);
}

// Kirisame et al., theorem 3.1: O(N) ops for a chain of N with memory for 2 ceil(sqrt(N)) values.
TEST(OnlinePlanner, RunsAChainInItsRootWithLinearlyManyOps) {
  for (int n : {64, 256, 1024}) {
    const StepGraph graph = unit_chain(n);
    const Problem problem(graph);
    const auto limit = static_cast<Bytes>(100 * (2 * std::ceil(std::sqrt(n)) + 3));
    const auto schedule = online_schedule(problem, limit, OnlineScore::kDtrEq);
    ASSERT_TRUE(schedule) << n;
    const Simulation simulation = simulate(graph, emit(problem, *schedule));
    EXPECT_LE(simulation.peak_bytes, limit);
    EXPECT_LE(simulation.num_replays, 3 * n) << n;
  }
}

TEST(OnlinePlanner, GivesUpNothingWhereEverythingFits) {
  const StepGraph graph = unit_chain(8);
  const Problem problem(graph);
  for (OnlineScore score : {OnlineScore::kDtrEq, OnlineScore::kLru})
    EXPECT_EQ(online_schedule(problem, simulate(graph).peak_bytes, score), Schedule{});
}

// What cannot be computed again, a number of the host's say, stays for the replays that read it.
TEST(OnlinePlanner, KeepsWhatNothingComputesAgain) {
  using testing::made;
  using testing::op;
  using testing::unpack;
  StepGraph graph;
  graph.values = {made(0, 10, kNone, {{0, 6}}), made(1, 8, 0, {{0, 2}}),
                  made(2, 100, 1, {{1, 2}, {4, 6}}), made(3, 100, 2, {{2, 3}})};
  graph.values[2].handles = {{0, 1, 6}};
  graph.entry.blocks = {0};
  graph.entry.bytes_by_category[static_cast<int>(Category::kOther)] = 10;
  graph.events = {op("item", Phase::kForward, {0}, {1}),
                  op("scale", Phase::kForward, {0, 1}, {2}),
                  op("loss", Phase::kForward, {0}, {3}),
                  op("rest", Phase::kForward, {0}, {}),
                  unpack({0}, {2}),
                  op("grad", Phase::kBackward, {2}, {})};
  graph.events[0].pinned = "data-dependent output";
  const Problem problem(graph);
  const auto schedule = online_schedule(problem, 150, OnlineScore::kDtrEq);
  ASSERT_TRUE(schedule);
  const Simulation simulation = simulate(graph, emit(problem, *schedule));
  EXPECT_EQ(simulation.num_replays, 1);
  EXPECT_LE(simulation.peak_bytes, 150);
}

// What is given up counts as soon as it is: a limit ends only those that would be dearer.
TEST(OnlinePlanner, EndsOnlyWhatCostsTooMuch) {
  const StepGraph graph = generate("resnet50", {.optimizer = Optimizer::kNothing});
  const Problem problem(graph);
  const Bytes budget = problem.unplanned().peak_bytes / 2;
  for (const OnlinePolicy& policy : kOnlinePolicies) {
    const auto plan = online_plan(problem, budget, policy.score, {});
    ASSERT_TRUE(plan) << policy.name;
    const Nanoseconds cost = plan->simulation.recompute_ns;
    const auto same = online_plan(problem, budget, policy.score, {}, cost);
    ASSERT_TRUE(same) << policy.name;
    EXPECT_EQ(same->schedule, plan->schedule) << policy.name;
    EXPECT_FALSE(online_plan(problem, budget, policy.score, {}, cost - 1)) << policy.name;
  }
}

TEST(OnlinePlanner, SaysSoWhereItGetsStuck) {
  const StepGraph graph = unit_chain(8);
  EXPECT_FALSE(online_schedule(Problem(graph), 150, OnlineScore::kDtrEq));
}

}  // namespace
}  // namespace tidemark
