#include "tidemark/plan/path_bound.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "plan/chain.h"
#include "plan/oracle.h"
#include "tidemark/plan/bound.h"
#include "tidemark/plan/floor.h"

namespace tidemark {
namespace {

using testing::made;
using testing::Oracle;

struct Layer {
  Nanoseconds cost_ns = 1;
  Bytes bytes = 1;
};

// Layers one from the other, then a backward op for each, the last first, that reads what the layer
// made. The input is there for ever and takes no memory.
StepGraph chain_of(const std::vector<Layer>& layers, bool has_runtime_actions) {
  const auto n = static_cast<EventIndex>(layers.size());
  StepGraph graph;
  graph.has_runtime_actions = has_runtime_actions;
  graph.entry.blocks = {0};
  graph.values.push_back(made(0, 0, kNone, {}));
  graph.values[0].persistent = true;
  for (EventIndex i = 0; i < n; ++i) {
    graph.events.push_back(testing::op("layer", Phase::kForward, {i}, {i + 1}));
    graph.events.back().cost_ns = layers[i].cost_ns;
    graph.values.push_back(made(i + 1, layers[i].bytes, i, {{i, std::min(i + 2, n)}}));
  }
  for (EventIndex i = n; i > 0; --i) {
    const EventIndex begin = graph.num_events();
    if (has_runtime_actions) graph.events.push_back(testing::unpack({i - 1}, {i}));
    graph.events.push_back(testing::op("grad", Phase::kBackward, {i}, {}));
    graph.events.back().pinned = "not asked for twice";
    graph.values[i].holds.push_back({begin, graph.num_events()});
    if (has_runtime_actions)
      graph.values[i].handles = {{i - 1, std::min(i, n - 1), graph.num_events()}};
  }
  graph.values[0].holds = {{0, graph.num_events()}};
  return graph;
}

// What m slots cost on n equal items beyond one sweep, two of them needed to go on from a third.
class EqualItems {
 public:
  // With one item in a slot of its own below them.
  Nanoseconds cost(int n, int m) {
    if (n == 0) return 0;
    if (m == 0) return kEndless;
    auto& known = known_[static_cast<std::size_t>(n) * 32 + static_cast<std::size_t>(m)];
    if (known != 0) return known;
    Nanoseconds best = kEndless;
    for (int k = 1; k <= (m == 1 ? 1 : n); ++k)
      best = std::min(best, k + cost(n - k, m - 1) + cost(k - 1, m));
    return known = best;
  }
  static constexpr Nanoseconds kEndless = std::numeric_limits<Nanoseconds>::max() / 4;

 private:
  std::vector<Nanoseconds> known_ = std::vector<Nanoseconds>(std::size_t{129} * 32);
};

TEST(PathBound, IsTheOptimumOnUniformChains) {
  EqualItems optimum;
  for (int length : {16, 32, 64, 128})
    for (int slots = 2; slots <= 16; ++slots) {
      const StepGraph graph = chain_of(std::vector<Layer>(length, {1000, 8}), false);
      const Nanoseconds least = 1000 * (optimum.cost(length, slots) - length);
      const Nanoseconds bound = lower_bound(graph, Bytes{8} * slots);
      EXPECT_LE(bound, least) << length << " layers, " << slots << " slots";
      // Where one more sweep is enough the minimum cut has it, to a nanosecond.
      EXPECT_GE(bound, least - 1) << length << " layers, " << slots << " slots";
    }
}

struct Score {
  int num_cases = 0;
  int num_tight = 0;
};

// Compares the bound with the cheapest of all plans.
void compare(const StepGraph& graph, Score& score) {
  const Problem problem(graph);
  Oracle oracle(problem);
  ASSERT_TRUE(oracle.is_small());
  const Bytes floor = memory_floor(problem).bytes;
  const Bytes peak = problem.unplanned().peak_bytes;
  for (int part = 0; part < 4; ++part) {
    const Bytes budget = floor + (peak - floor) * part / 4;
    const auto best = oracle.least_recompute(budget);
    const Nanoseconds bound = lower_bound(problem, budget);
    if (!best) continue;
    EXPECT_LE(bound, *best) << "budget " << budget;
    ++score.num_cases;
    score.num_tight += bound == *best;
  }
}

TEST(PathBound, IsNeverAboveTheCheapestPlanOfAChain) {
  std::mt19937 random(3);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  Score equal;
  Score ragged;
  for (int round = 0; round < 600; ++round) {
    std::vector<Layer> layers(static_cast<std::size_t>(4 + below(2)));
    const bool is_equal = round % 2 == 0;
    for (Layer& layer : layers) layer = {10 + below(90), is_equal ? 16 : 12 + below(8)};
    compare(chain_of(layers, round % 4 < 2), is_equal ? equal : ragged);
  }
  EXPECT_GT(equal.num_cases + ragged.num_cases, 2000);
  EXPECT_GE(equal.num_tight * 100, equal.num_cases * 98) << equal.num_tight;
  EXPECT_GE(ragged.num_tight * 5, ragged.num_cases) << ragged.num_tight;
}

TEST(PathBound, IsNeverAboveTheCheapestPlanWhereReplaysWriteOverTheirInput) {
  std::mt19937 random(4);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  Score score;
  for (int round = 0; round < 600; ++round) {
    std::vector<Layer> layers(static_cast<std::size_t>(4 + below(2)));
    for (Layer& layer : layers) layer = {10 + below(90), 16};
    StepGraph graph = chain_of(layers, round % 4 < 2);
    for (EventIndex i = 1; i < static_cast<EventIndex>(layers.size()); ++i)
      if (below(2) == 0) graph.events[i].replays_in_place = {{i, i + 1}};
    compare(graph, score);
  }
  EXPECT_GT(score.num_cases, 2000);
}

TEST(PathBound, FindsNothingWhereOneSweepIsEnough) {
  const StepGraph graph = chain_of(std::vector<Layer>(64, {1000, 8}), false);
  EXPECT_TRUE(PathBound(Problem(graph)).paths(Bytes{8} * 32).empty());
}

TEST(PathBound, TakesEveryOpOnce) {
  const StepGraph graph = chain_of(std::vector<Layer>(64, {1000, 8}), false);
  const Problem problem(graph);
  std::vector<EventIndex> ops;
  for (const PathBound::Path& path : PathBound(problem).paths(Bytes{8} * 3))
    ops.insert(ops.end(), path.ops.begin(), path.ops.end());
  EXPECT_GT(ops.size(), 32);
  std::ranges::sort(ops);
  EXPECT_EQ(std::ranges::adjacent_find(ops), ops.end());
}

}  // namespace
}  // namespace tidemark
