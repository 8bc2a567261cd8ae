#include "tidemark/plan/stages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tidemark/generate/generate.h"
#include "tidemark/generate/synthetic_models.h"

namespace tidemark {
namespace {

TEST(Stages, OfAChainAreItsStages) {
  const std::vector<ChainStage> chain{
      {.output_bytes = 5, .tape_bytes = 11, .forward_ns = 3, .backward_ns = 4},
      {.output_bytes = 6, .tape_bytes = 12, .forward_ns = 5, .backward_ns = 6},
      {.output_bytes = 7, .tape_bytes = 13, .forward_ns = 7, .backward_ns = 8}};
  const StepGraph graph = chain_step(chain, 2);
  const auto stages = find_stages(Problem(graph), 10);
  ASSERT_EQ(stages.size(), 3U);
  EXPECT_EQ(stages[1].state_bytes, 5);
  EXPECT_EQ(stages[1].tape_bytes, 12);
  EXPECT_EQ(stages[1].forward_ns, 5);
  EXPECT_EQ(stages[1].backward_ns, 6);
  EXPECT_GT(stages[0].backward_event, stages[1].backward_event);
  EXPECT_GT(stages[1].backward_event, stages[2].backward_event);
}

// One tensor crosses between the blocks of a GPT, several between the steps of an LSTM.
TEST(Stages, BordersLieAtArticulationPointsAndBetweenTimeSteps) {
  const StepGraph gpt = generate("gpt2_small", {.batch = 1});
  const auto blocks = find_stages(Problem(gpt), 1000);
  const Bytes hidden = Bytes{1024} * 768 * 4;
  const auto num_blocks = std::ranges::count(blocks, hidden, &Stage::state_bytes);
  EXPECT_GE(num_blocks, 24);

  const StepGraph lstm = generate("lstm8", {.batch = 1});
  const auto steps = find_stages(Problem(lstm), 1000);
  const Bytes states = Bytes{4} * 2 * 1024 * 4;
  EXPECT_GE(std::ranges::count_if(steps,
                                  [&](const Stage& s) {
                                    return s.state_bytes >= states && s.state_bytes < states + 100;
                                  }),
            7);
}

TEST(Stages, AreMergedToAsManyAsAllowed) {
  const StepGraph graph = generate("chain60", {.batch = 8});
  const Problem problem(graph);
  EXPECT_GT(find_stages(problem, 1000).size(), 100U);
  EXPECT_LE(find_stages(problem, 20).size(), 20U);
  EXPECT_GE(find_stages(problem, 20).size(), 15U);
}

TEST(StageRun, StoresAndRunsAgainWhatTheSequenceSays) {
  const std::vector<ChainStage> chain(4, {.output_bytes = 10, .tape_bytes = 1});
  const StepGraph graph = chain_step(chain, 1);
  const Problem problem(graph);
  const auto stages = find_stages(problem, 10);
  StageRun run(problem, stages);
  for (int stage : {0, 1, 2, 3}) run.forward(stage);  // the step's own
  run.backward(3);
  for (int stage : {1, 2}) run.forward(stage);
  run.backward(2);
  run.backward(1);  // its tape is still there
  run.forward(0);
  run.backward(0);
  EXPECT_EQ(run.schedule(),
            (Schedule{{stages[2].backward_event, {1, 2}}, {stages[0].backward_event, {0}}}));
}

}  // namespace
}  // namespace tidemark
