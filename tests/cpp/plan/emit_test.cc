#include "tidemark/plan/emit.h"

#include <gtest/gtest.h>

#include "plan/chain.h"
#include "plan/random_graph.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/lookahead.h"
#include "tidemark/plan/segments.h"
#include "tidemark/plan/validate.h"

namespace tidemark {
namespace {

TEST(Emit, DropsAtTheLastEventBeforeTheGapWhereTheRuntimeCanAct) {
  const StepGraph graph = testing::chain();
  const std::vector<EventActions> expected{{1, {{ActionKind::kDrop, 1}}},
                                           {3, {{ActionKind::kReplay, 0}}}};
  EXPECT_EQ(emit(Problem(graph), {{3, {0}}}), expected);
}

TEST(Emit, KeepsARestoredValueThroughAGapOfLengthZero) {
  StepGraph graph = testing::chain();
  graph.values[1].holds = {{0, 2}, {3, 4}, {4, 5}};
  graph.values[1].handles = {{0, 1, 5}, {1, 1, 5}};
  graph.events[4] = testing::unpack({1}, {1});
  graph.values.pop_back();
  const auto actions = emit(Problem(graph), {{3, {0}}});
  ASSERT_EQ(actions.size(), 3U);
  EXPECT_EQ(actions[1].actions[1], (Action{ActionKind::kKeep, 1}));
  EXPECT_NO_THROW(simulate(graph, actions));
}

TEST(Emit, KeepsAnUnsavedInputFromItsMakingToTheReplay) {
  const StepGraph graph = testing::in_place_chain();
  // Value 2 read by a replay of op 2 at the unpack: it is held then, so nothing is said about it.
  EXPECT_EQ(emit(Problem(graph), {{3, {2}}}).size(), 1U);
}

// The chain, but its handle outlives what reads the value: an op of so many bytes runs meanwhile.
StepGraph chain_with_a_late_op(Bytes bytes) {
  StepGraph graph = testing::chain();
  graph.values[0].holds = {{0, 7}};
  graph.values[1].handles = {{0, 1, 7}};
  graph.values.push_back(testing::made(4, bytes, 5, {{5, 6}}));
  graph.events.push_back(testing::op("late", Phase::kBackward, {0}, {4}));
  graph.events.push_back(testing::op("end", Phase::kBackward, {0}, {}));
  return graph;
}

TEST(MakePlan, DropsForGoodOnlyWhatThePeakWantsGone) {
  for (const auto& [bytes, num_drops] : {std::pair{1, 0U}, std::pair{1000, 1U}}) {
    const StepGraph graph = chain_with_a_late_op(bytes);
    const Problem problem(graph);
    const auto actions = emit(problem, {});
    ASSERT_EQ(actions.size(), 1U);
    const Plan plan = make_plan(problem, actions, "keep_all", 10'000);
    EXPECT_EQ(plan.actions.size(), num_drops);
    EXPECT_EQ(plan.peak_bytes, simulate(graph, actions).peak_bytes);
    EXPECT_FALSE(validate(graph, plan));
  }
}

TEST(Prune, RemovesReplaysThatNothingUses) {
  const StepGraph graph = testing::chain();
  Schedule schedule{{3, {0, 1}}};
  prune(Problem(graph), schedule);
  EXPECT_EQ(schedule, (Schedule{{3, {0}}}));
}

TEST(Segments, ComputeHardlyAnyOpAgainTwice) {
  int num_replays = 0;
  int num_repeated = 0;
  for (int seed = 0; seed < 40; ++seed) {
    const StepGraph step =
        testing::random_graph(seed, {.num_ops = 30, .with_pinned = false, .with_in_place = false});
    const Problem problem(step);
    std::vector<int> times(step.events.size(), 0);
    for (const ReplayList& list : segment_schedule(problem, 5, SegmentWeight::kOps))
      for (EventIndex op : list.ops) {
        ++num_replays;
        num_repeated += times[op]++ > 0;
      }
  }
  // Only values whose last handle is gone before a segment reads them are made twice.
  EXPECT_GT(num_replays, 100);
  EXPECT_LT(num_repeated * 20, num_replays);
}

TEST(Lookahead, KeepsItsOwnSumsInLineWithTheSimulator) {
  int num_found = 0;
  for (int seed = 0; seed < 60; ++seed) {
    const StepGraph step = testing::random_graph(seed, {.num_ops = 30});
    const Problem problem(step);
    const Bytes floor = memory_floor(problem).bytes;
    const Bytes limit = floor + (problem.unplanned().peak_bytes - floor) / 2;
    const auto schedule = Lookahead(problem).run(limit, {});
    if (!schedule) continue;
    ++num_found;
    EXPECT_LE(simulate(step, emit(problem, *schedule)).peak_bytes, limit) << seed;
  }
  EXPECT_GT(num_found, 20);
}

}  // namespace
}  // namespace tidemark
