#include "tidemark/plan/simulate.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "plan/chain.h"

namespace tidemark {
namespace {

using testing::chain;
using Actions = std::vector<EventActions>;

const Action kReplayFirst{ActionKind::kReplay, 0};
const Action kDropFirst{ActionKind::kDrop, 1};

TEST(Simulate, KeepsEveryGapWithoutAPlan) {
  const std::vector<Reading> expected{
      {10, 110, 110}, {110, 210, 210}, {210, 217, 210}, {210, 210, 210}, {210, 230, 230}};
  EXPECT_EQ(simulate(chain()).curve, expected);
  EXPECT_EQ(simulate(chain()).peak_bytes, 230);
  EXPECT_EQ(simulate(chain()).peak_event, 4);
}

TEST(Simulate, DroppedBytesLeaveWithTheProgramsHold) {
  // Dropped after op 1, which still holds value 1: gone at the start of op 2.
  const Simulation simulation = simulate(chain(), Actions{{1, {kDropFirst}}, {3, {kReplayFirst}}});
  const std::vector<Reading> expected{
      {10, 110, 110}, {110, 210, 210}, {110, 117, 110}, {110, 210, 210}, {210, 230, 230}};
  EXPECT_EQ(simulation.curve, expected);
  EXPECT_EQ(simulation.num_replays, 1);
  EXPECT_EQ(simulation.recompute_ns, 5);
}

TEST(Simulate, RestoredValueWithoutKeepGoesWithItsHold) {
  StepGraph graph = chain();
  graph.values[1].handles[0].released_at = 5;
  graph.values[1].holds[1].end = 4;
  const Simulation kept = simulate(graph);
  EXPECT_EQ(kept.curve[4].before, 210);
  const Actions without{{1, {kDropFirst}}, {3, {kReplayFirst}}};
  EXPECT_EQ(simulate(graph, without).curve[4].before, 110);
  const Actions with{{1, {kDropFirst}}, {3, {kReplayFirst, {ActionKind::kKeep, 1}}}};
  EXPECT_EQ(simulate(graph, with).curve[4].before, 210);
}

TEST(Simulate, DuplicateOfAResidentValueGoesAtOnce) {
  const Simulation simulation = simulate(chain(), Actions{{3, {kReplayFirst}}});
  EXPECT_EQ(simulation.curve[3], (Reading{210, 310, 210}));
}

TEST(Simulate, RefusesTheImpossible) {
  EXPECT_THROW(simulate(chain(), Actions{{1, {kDropFirst}}}), std::invalid_argument);
  EXPECT_THROW(simulate(chain(), Actions{{1, {kDropFirst}}, {3, {{ActionKind::kKeep, 1}}}}),
               std::invalid_argument);
  EXPECT_THROW(simulate(chain(), Actions{{3, {{ActionKind::kReplay, 9}}}}), std::invalid_argument);
  EXPECT_THROW(simulate(chain(), Actions{{9, {kReplayFirst}}}), std::invalid_argument);
  StepGraph graph = chain();
  graph.values[0].holds = {{0, 2}};  // the input is gone by then
  EXPECT_THROW(simulate(graph, Actions{{1, {kDropFirst}}, {3, {kReplayFirst}}}),
               std::invalid_argument);
}

TEST(Simulate, InPlaceReplayWritesATemporaryReadForTheLastTime) {
  const StepGraph graph = testing::in_place_chain();
  const Actions actions{{2, {{ActionKind::kDrop, 2}}},
                        {3, {{ActionKind::kReplay, 0}, {ActionKind::kReplay, 1}}}};
  const Simulation simulation = simulate(graph, actions);
  EXPECT_EQ(simulation.num_clones, 0);
  EXPECT_EQ(simulation.curve[3], (Reading{18, 118, 118}));
}

TEST(Simulate, InPlaceReplayClonesAnInputThatStays) {
  const StepGraph graph = testing::in_place_chain();
  const Actions actions{
      {2, {{ActionKind::kDrop, 2}}},
      {3, {{ActionKind::kReplay, 0}, {ActionKind::kReplay, 1}, {ActionKind::kKeep, 1}}}};
  const Simulation simulation = simulate(graph, actions);
  EXPECT_EQ(simulation.num_clones, 1);
  EXPECT_EQ(simulation.curve[3], (Reading{18, 218, 218}));
}

// As in_place_chain, but the second op makes a block of its own and may replay over its input.
StepGraph replayed_in_place() {
  StepGraph graph = testing::in_place_chain();
  graph.values[1].overwritten_at = kNone;
  graph.values[2].block = 3;
  graph.values[2].version = 0;
  graph.events[1].in_place.clear();
  graph.events[1].replays_in_place = {{1, 2}};
  EXPECT_NO_THROW(check(graph));
  return graph;
}

TEST(Simulate, ReplayInPlaceWritesOverATemporaryReadForTheLastTime) {
  const StepGraph graph = replayed_in_place();
  const Actions actions{{2, {{ActionKind::kDrop, 2}}},
                        {3, {{ActionKind::kReplay, 0}, {ActionKind::kReplay, 1}}}};
  EXPECT_EQ(simulate(graph, actions).curve[3], (Reading{18, 118, 118}));
}

TEST(Simulate, ReplayInPlaceMakesABlockWhereTheInputStays) {
  const StepGraph graph = replayed_in_place();
  const Actions actions{
      {2, {{ActionKind::kDrop, 2}}},
      {3, {{ActionKind::kReplay, 0}, {ActionKind::kReplay, 1}, {ActionKind::kKeep, 1}}}};
  const Simulation simulation = simulate(graph, actions);
  EXPECT_EQ(simulation.num_clones, 0);
  EXPECT_EQ(simulation.curve[3], (Reading{18, 218, 218}));
}

}  // namespace
}  // namespace tidemark
