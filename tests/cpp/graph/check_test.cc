#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "graph/small_graph.h"
#include "tidemark/graph/graph.h"

namespace tidemark {
namespace {

using testing::small_graph;

// A way to break the small graph, and what the complaint must contain.
struct Breakage {
  const char* name;
  std::function<void(StepGraph&)> apply;
  std::vector<std::string> complaint;
};

std::string complaint_about(const StepGraph& graph) {
  try {
    check(graph);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

class BrokenGraph : public ::testing::TestWithParam<Breakage> {};

TEST_P(BrokenGraph, IsRefusedNamingThePlace) {
  StepGraph graph = small_graph();
  GetParam().apply(graph);
  const std::string complaint = complaint_about(graph);
  EXPECT_NE(complaint, "");
  for (const std::string& part : GetParam().complaint) {
    EXPECT_NE(complaint.find(part), std::string::npos) << complaint << "\nlacks: " << part;
  }
}

constexpr Bytes kHuge = std::numeric_limits<Bytes>::max();

const Breakage kBreakages[] = {
    {"NegativeBlock", [](StepGraph& g) { g.values[1].block = -1; }, {"value 1:", "block is -1"}},
    {"BlockBeyondValues", [](StepGraph& g) { g.values[1].block = 7; }, {"value 1:", "below 7"}},
    {"NegativeVersion", [](StepGraph& g) { g.values[1].version = -1; }, {"value 1:", "version"}},
    {"NegativeBytes", [](StepGraph& g) { g.values[4].bytes = -4; }, {"value 4:", "bytes is -4"}},
    {"OverflowingBytes",
     [](StepGraph& g) { g.values[0].bytes = g.values[1].bytes = kHuge / 5; },
     {"value 1:", "overflow"}},
    {"OverflowingWorkspace",
     [](StepGraph& g) { g.events[5].workspace_bytes = kHuge; },
     {"event 5:", "overflow"}},
    {"NegativeWorkspace",
     [](StepGraph& g) { g.events[5].workspace_bytes = -1; },
     {"event 5:", "workspace_bytes is -1"}},
    {"NegativeCost", [](StepGraph& g) { g.events[0].cost_ns = -1; }, {"event 0:", "cost_ns"}},
    {"OverflowingCost",
     [](StepGraph& g) { g.events[0].cost_ns = g.events[1].cost_ns = kHuge / 5; },
     {"event 1:", "cost_ns", "overflow"}},
    {"ProducerBeyondEvents",
     [](StepGraph& g) { g.values[4].producer = 6; },
     {"value 4:", "below 6"}},
    {"OverwrittenBeyondEvents",
     [](StepGraph& g) { g.values[4].overwritten_at = 99; },
     {"value 4:", "overwritten_at is 99"}},
    {"NoHold", [](StepGraph& g) { g.values[4].holds.clear(); }, {"value 4:", "no hold"}},
    {"EmptyHold",
     [](StepGraph& g) {
       g.values[4].holds = {{2, 2}};
     },
     {"value 4:", "[2, 2)"}},
    {"UnsortedHolds",
     [](StepGraph& g) {
       g.values[3].holds = {{4, 6}, {1, 3}};
     },
     {"value 3:", "[1, 3)"}},
    {"OverlappingHolds",
     [](StepGraph& g) {
       g.values[3].holds = {{1, 5}, {4, 6}};
     },
     {"value 3:", "[4, 6)"}},
    {"HoldBeyondTheStep",
     [](StepGraph& g) { g.values[3].holds.back().end = 7; },
     {"value 3:", "[4, 7)"}},
    {"HoldBeforeProduction",
     [](StepGraph& g) {
       g.values[4].holds = {{1, 6}};
     },
     {"value 4:", "begins at 1", "expected 2"}},
    {"SourceHeldLate",
     [](StepGraph& g) {
       g.values[0].holds = {{1, 6}};
     },
     {"value 0:", "expected 0 for a source"}},
    {"HoldWithoutUnpack",
     [](StepGraph& g) {
       g.values[3].holds = {{1, 2}, {2, 3}, {4, 6}};
     },
     {"value 3:", "[2, 3)", "does not unpack"}},
    {"UnpackOfAValueThatNobodyHolds",
     [](StepGraph& g) {
       g.values[3].holds = {{1, 3}};
     },
     {"event 4:", "value 3", "no hold covers"}},
    {"HandlePackedBeforeProduction",
     [](StepGraph& g) { g.values[3].handles[0].packed_at = 0; },
     {"value 3:", "handle 0", "packed at 0"}},
    {"HandleReleasedBeforePacked",
     [](StepGraph& g) { g.values[3].handles[0].released_at = 1; },
     {"value 3:", "released at 1"}},
    {"HandleReleasedBeyondTheStep",
     [](StepGraph& g) { g.values[3].handles[0].released_at = 7; },
     {"value 3:", "released at 7"}},
    {"HandleOfTwoValues",
     [](StepGraph& g) {
       g.values[4].handles = {{0, 2, 6}};
     },
     {"value 4:", "handle 0", "value 3 already"}},
    {"HandlesUnsorted",
     [](StepGraph& g) {
       g.values[3].handles = {{2, 1, 6}, {0, 1, 6}};
     },
     {"value 3:", "handle 0"}},
    {"UnknownInput",
     [](StepGraph& g) { g.events[2].inputs = {7}; },
     {"event 2:", "value 7", "has 7"}},
    {"NegativeInput", [](StepGraph& g) { g.events[2].inputs = {-1}; }, {"event 2:", "value -1"}},
    {"UnknownOutput", [](StepGraph& g) { g.events[2].outputs = {70}; }, {"event 2:", "outputs"}},
    {"InputTwice",
     [](StepGraph& g) {
       g.events[0].inputs = {1, 1};
     },
     {"event 0:", "twice"}},
    {"NamelessOp", [](StepGraph& g) { g.events[0].name = ""; }, {"event 0:", "no name"}},
    {"OpWithHandles", [](StepGraph& g) { g.events[0].handles = {1}; }, {"event 0:", "handles"}},
    {"ReadBeforeMade",
     [](StepGraph& g) { g.events[0].inputs.push_back(4); },
     {"event 0:", "value 4", "before event 2"}},
    {"ReadAfterOverwritten",
     [](StepGraph& g) { g.events[2].inputs = {2}; },
     {"event 2:", "value 2", "overwritten at event 1"}},
    {"ReadOutsideHolds",
     [](StepGraph& g) {
       g.values[1].holds = {{0, 0}};
     },
     {"event 0:", "value 1", "no hold covers"}},
    {"MadeTwice",
     [](StepGraph& g) { g.events[3].outputs = {4}; },
     {"event 3:", "value 4", "event 2 made already"}},
    {"ProducerThatDoesNotMake",
     [](StepGraph& g) {
       g.values[5].producer = 2;
       g.values[5].holds = {{2, 4}};
     },
     {"value 5:", "output of event 3"}},
    {"InPlaceOfNoInput",
     [](StepGraph& g) {
       g.events[1].in_place = {{1, 3}};
     },
     {"event 1:", "in_place [1, 3]", "not an input"}},
    {"InPlaceOfNoOutput",
     [](StepGraph& g) {
       g.events[1].in_place = {{2, 4}};
     },
     {"event 1:", "not an output"}},
    {"InPlaceIntoAnotherBlock",
     [](StepGraph& g) { g.values[3].block = 6; },
     {"event 1:", "in_place [2, 3]", "block 2"}},
    {"InPlaceWithoutOverwriting",
     [](StepGraph& g) { g.values[2].overwritten_at = kNone; },
     {"event 1:", "overwritten_at 1"}},
    {"NewVersionWithoutInPlace",
     [](StepGraph& g) { g.events[1].in_place.clear(); },
     {"event 1:", "in in_place"}},
    {"ReplayInPlaceOfNoInput",
     [](StepGraph& g) {
       g.events[2].replays_in_place = {{1, 4}};
     },
     {"event 2:", "replays_in_place [1, 4]", "not an input"}},
    {"ReplayInPlaceOfAnotherSize",
     [](StepGraph& g) {
       g.events[2].replays_in_place = {{3, 4}};
     },
     {"event 2:", "equal bytes, not 16 and 4"}},
    {"ReplayInPlaceOfWhatIsWrittenInPlace",
     [](StepGraph& g) {
       g.events[1].replays_in_place = {{2, 3}};
     },
     {"event 1:", "replays_in_place [2, 3]", "written in place anyway"}},
    {"ReplayInPlaceTwice",
     [](StepGraph& g) {
       g.events[5].replays_in_place = {{3, 6}, {3, 6}};
     },
     {"event 5:", "another pair"}},
    {"VersionMissing",
     [](StepGraph& g) {
       g.events[1].in_place.clear();
       g.values[3].version = 2;
     },
     {"value 3:", "version 2", "expected version 1"}},
    {"VersionsOfTwoSizes",
     [](StepGraph& g) { g.values[3].bytes = 17; },
     {"value 3:", "17 bytes", "expected 16"}},
    {"OverwrittenByNobody",
     [](StepGraph& g) { g.values[4].overwritten_at = 5; },
     {"value 4:", "no later version"}},
    {"TwoValuesOfOneVersion",
     [](StepGraph& g) { g.values[4].block = 0; },
     {"value 4:", "version 0 of block 0"}},
    {"FreesWhatItDoesNotRead",
     [](StepGraph& g) { g.events[0].frees = {4}; },
     {"event 0:", "frees value 4", "not an input"}},
    {"FreesWhatIsHeldLater",
     [](StepGraph& g) { g.events[0].frees = {0}; },
     {"event 0:", "frees value 0", "end at 1"}},
    {"UnpackWithoutHandles",
     [](StepGraph& g) { g.events[4].handles.clear(); },
     {"event 4:", "no handles"}},
    {"UnpackTwiceTheSame",
     [](StepGraph& g) {
       g.events[4].handles = {0, 0};
     },
     {"event 4:", "handle 0 appears twice"}},
    {"UnpackWithoutItsValue",
     [](StepGraph& g) { g.events[4].values.clear(); },
     {"event 4:", "handle 0", "value 3", "missing"}},
    {"UnpackByNoHandle",
     [](StepGraph& g) { g.events[4].values.push_back(4); },
     {"event 4:", "value 4", "by none"}},
    {"UnpackAfterRelease",
     [](StepGraph& g) { g.values[3].handles[0].released_at = 4; },
     {"event 4:", "handle 0", "between 1 and 4"}},
    {"UnpackWithInputs",
     [](StepGraph& g) { g.events[4].inputs = {0}; },
     {"event 4:", "only an op"}},
    {"HostWithInputs", [](StepGraph& g) { g.events[3].inputs = {0}; }, {"event 3:", "host"}},
    {"HostWithoutOutput",
     [](StepGraph& g) { g.events[3].outputs.clear(); },
     {"event 3:", "exactly one"}},
    {"PersistentButGone",
     [](StepGraph& g) { g.values[1].persistent = true; },
     {"value 1:", "gone at 1"}},
    {"EntryOfSixCategories",
     [](StepGraph& g) { g.entry.bytes_by_category.pop_back(); },
     {"entry:", "6", "7"}},
    {"NegativeEntryBytes",
     [](StepGraph& g) { g.entry.other_bytes = -1; },
     {"entry", "other_bytes is -1"}},
    {"EntryBlockTwice",
     [](StepGraph& g) {
       g.entry.blocks = {0, 1, 1};
     },
     {"entry:", "block 1", "twice"}},
    {"EntryBlockUnknown",
     [](StepGraph& g) {
       g.entry.blocks = {0, 1, 9};
     },
     {"entry:", "block 9"}},
    {"EntryBlockMadeInTheStep",
     [](StepGraph& g) {
       g.entry.blocks = {0, 1, 2};
     },
     {"entry:", "block 2", "no source"}},
    {"EntryBlockMissing", [](StepGraph& g) { g.entry.blocks = {0}; }, {"value 1:", "block 1"}},
};

INSTANTIATE_TEST_SUITE_P(Check, BrokenGraph, ::testing::ValuesIn(kBreakages),
                         [](const auto& broken) { return std::string(broken.param.name); });

TEST(Check, AcceptsTheSmallGraph) { EXPECT_EQ(complaint_about(small_graph()), ""); }

TEST(Check, AcceptsAnEmptyGraph) { EXPECT_EQ(complaint_about(StepGraph()), ""); }

TEST(Check, AcceptsATensorOfAnEarlierStepThatDiesBeforeTheFirstEvent) {
  StepGraph graph = small_graph();
  graph.values.push_back({.block = 6, .bytes = 4, .holds = {{0, 0}}});
  graph.entry.blocks.push_back(6);
  EXPECT_EQ(complaint_about(graph), "");
}

TEST(Check, AcceptsAWrittenInputHeldThroughItsWriter) {
  StepGraph graph = small_graph();
  graph.values[2].holds = {{0, 2}};
  EXPECT_EQ(complaint_about(graph), "");
}

TEST(Check, AcceptsAHandleThatServesItsBlockAtALaterVersion) {
  StepGraph graph = small_graph();
  graph.values[2].handles = {{0, 0, 6}};
  graph.values[3].handles.clear();
  graph.events[4].values = {2};
  EXPECT_EQ(complaint_about(graph), "");
}

TEST(Check, AcceptsAnInputThatTheOpReleases) {
  StepGraph graph = small_graph();
  graph.events[0].frees = {1};
  EXPECT_EQ(complaint_about(graph), "");
}

TEST(Check, AcceptsHoldsThatBeginAtAnyUseInGraphsFromElsewhere) {
  StepGraph graph = small_graph();
  graph.has_runtime_actions = false;
  graph.values[3].holds = {{1, 2}, {2, 3}, {4, 6}};
  EXPECT_EQ(complaint_about(graph), "");
}

}  // namespace
}  // namespace tidemark
