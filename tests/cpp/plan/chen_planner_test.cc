#include "tidemark/plan/chen_planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tidemark/generate/synthetic_models.h"
#include "tidemark/plan/simulate.h"

namespace tidemark {
namespace {

constexpr Bytes kUnit = 1000;

// A chain of equal layers as the paper counts it: feature maps alone, the input not among them.
StepGraph equal_layers(int n) {
  const std::vector<ChainStage> stages(static_cast<std::size_t>(n),
                                       {.output_bytes = kUnit, .forward_ns = 10});
  return chain_step(stages, 0);
}

Simulation simulate(const Problem& problem, const Schedule& schedule) {
  return simulate(problem.graph(), emit(problem, schedule));
}

TEST(Chen, NeedsTwoRootsOfNUnitsForNEqualLayers) {
  for (int n : {16, 64, 100, 256, 1024}) {
    const StepGraph graph = equal_layers(n);
    const Problem problem(graph);
    Bytes least = std::numeric_limits<Bytes>::max();
    Nanoseconds dearest = 0;
    for (const Schedule& schedule : chen_schedules(problem)) {
      const Simulation simulation = simulate(problem, schedule);
      if (simulation.recompute_ns > n * Nanoseconds{10})
        continue;  // a segment runs once more, not twice
      dearest = std::max(dearest, simulation.recompute_ns);
      least = std::min(least, simulation.peak_bytes);
    }
    const double units = static_cast<double>(least) / static_cast<double>(kUnit);
    RecordProperty("units_" + std::to_string(n), std::to_string(units));
    EXPECT_LE(units, 2 * std::sqrt(n) + 1) << n;
    EXPECT_GT(dearest, 0);
  }
}

// g(n) = k + g(n / (k + 1)) with k = 1: log2(n) states, n log2(n) forwards.
TEST(Chen, RecursionNeedsALogarithmOfUnits) {
  constexpr int kLayers = 1024;
  const StepGraph graph = equal_layers(kLayers);
  const Problem problem(graph);
  const auto stages = find_stages(problem, kLayers + 1);
  ASSERT_EQ(stages.size(), kLayers - 1U);  // nobody saves what the last layer makes
  const Simulation simulation = simulate(problem, chen_recursion(problem, stages, 1));
  EXPECT_LE(simulation.peak_bytes, kUnit * (10 + 2));
  EXPECT_LE(simulation.num_replays, kLayers * 10);
}

TEST(Chen, KeepsWhereBytesExceedTheThreshold) {
  const std::vector<Stage> stages(9, {.state_bytes = 10, .tape_bytes = 30});
  EXPECT_EQ(chen_borders(stages, 79), (std::vector<int>{2, 4, 6, 8}));
  EXPECT_EQ(chen_borders(stages, 80), (std::vector<int>{3, 6}));
  EXPECT_EQ(chen_borders(stages, 0), (std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8}));
}

}  // namespace
}  // namespace tidemark
