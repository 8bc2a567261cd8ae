#include "tidemark/plan/rockmate_planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "tidemark/generate/generate.h"
#include "tidemark/plan/planner.h"

namespace tidemark {
namespace {

TEST(Rockmate, LooksAtEqualBlocksOnce) {
  const StepGraph graph = generate("gpt2_small_unfused");
  const Problem problem(graph);
  const std::vector<Stage> stages = find_stages(problem, 100);
  const StageOptions found = options_of(problem, stages);
  ASSERT_EQ(found.options.size(), stages.size());
  EXPECT_GE(stages.size(), 36u);  // three for each of twelve equal layers, and those around them
  EXPECT_LE(found.num_kinds, static_cast<int>(stages.size()) / 3);
}

TEST(Rockmate, OptionsKeepLessAndLessForMoreAndMoreTime) {
  for (const char* model : {"gpt2_small_unfused", "resnet50", "lstm16"}) {
    const StepGraph graph = generate(model);
    const Problem problem(graph);
    const std::vector<Stage> stages = find_stages(problem, 20);
    const StageOptions found = options_of(problem, stages);
    int num_options = 0;
    for (std::size_t i = 0; i < stages.size(); ++i) {
      const std::vector<StageOption>& options = found.options[i];
      EXPECT_TRUE(options.front().reruns.empty());
      EXPECT_EQ(options.front().dropped_bytes, 0);
      for (std::size_t o = 1; o < options.size(); ++o) {
        EXPECT_GT(options[o].dropped_bytes, options[o - 1].dropped_bytes);
        EXPECT_GE(options[o].rerun_ns, options[o - 1].rerun_ns);
        EXPECT_LE(options[o].dropped_bytes, stages[i].tape_bytes);
        const std::set<EventIndex> ops(stages[i].ops.begin(), stages[i].ops.end());
        for (EventIndex op : options[o].reruns) {
          EXPECT_TRUE(ops.contains(op));
          EXPECT_TRUE(problem.is_replayable(op));
        }
        ++num_options;
      }
    }
    EXPECT_GT(num_options, static_cast<int>(stages.size())) << model;
  }
}

// The same chain with one way per block is Rotor's.
TEST(Rockmate, IsFarCheaperThanRotorWhereBlocksHaveCheapParts) {
  for (const char* model : {"gpt2_small_unfused", "densenet121"}) {
    const StepGraph graph = generate(model);
    const Bytes budget = Problem(graph).unplanned().peak_bytes / 2;
    const auto rockmate = plan(graph, budget, {.policy = "rockmate"});
    const auto rotor = plan(graph, budget, {.policy = "rotor"});
    ASSERT_TRUE(rockmate && rotor) << model;
    EXPECT_LT(5 * rockmate->recompute_ns, 3 * rotor->recompute_ns) << model;
  }
}

}  // namespace
}  // namespace tidemark
