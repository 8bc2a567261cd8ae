#include "tidemark/plan/keep_cut.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <vector>

#include "plan/chain.h"
#include "plan/random_graph.h"
#include "tidemark/plan/branched_cut.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/max_flow.h"

namespace tidemark {
namespace {

TEST(MaxFlow, FindsTheNarrowestPlace) {
  MaxFlow flow(5);
  flow.add_edge(0, 2, 10);
  flow.add_edge(2, 3, 3);
  flow.add_edge(2, 4, 4);
  flow.add_edge(3, 1, MaxFlow::kInfinite);
  flow.add_edge(4, 1, 2);
  EXPECT_EQ(flow.run(0, 1), 5);
  EXPECT_TRUE(flow.is_on_source_side(2));
  EXPECT_TRUE(flow.is_on_source_side(4));
  EXPECT_FALSE(flow.is_on_source_side(3));
}

TEST(MaxFlow, TakesBackWhatItPushedTheWrongWay) {
  MaxFlow flow(6);
  for (const auto& [from, to] :
       std::vector<std::pair<int, int>>{{0, 2}, {0, 3}, {2, 4}, {3, 4}, {2, 5}, {4, 1}, {5, 1}})
    flow.add_edge(from, to, 1);
  EXPECT_EQ(flow.run(0, 1), 2);
}

// x -> a -> b, both saved and wanted again after the loss; b can be had again only from a.
StepGraph two_saved() {
  using testing::made;
  using testing::op;
  using testing::unpack;
  StepGraph graph;
  graph.values = {made(0, 10, kNone, {{0, 7}}), made(1, 100, 0, {{0, 2}, {5, 7}}),
                  made(2, 40, 1, {{1, 3}, {3, 5}}), made(3, 8, 2, {{2, 7}})};
  graph.values[1].handles = {{0, 1, 7}};
  graph.values[2].handles = {{1, 2, 5}};
  graph.values[2].holds = {{1, 2}, {3, 5}};
  graph.entry.blocks = {0};
  graph.entry.bytes_by_category[static_cast<int>(Category::kOther)] = 10;
  graph.events = {op("first", Phase::kForward, {0}, {1}), op("second", Phase::kForward, {1}, {2}),
                  op("loss", Phase::kForward, {0}, {3}),  unpack({1}, {2}),
                  op("grad", Phase::kBackward, {2}, {}),  unpack({0}, {1}),
                  op("grad", Phase::kBackward, {1}, {})};
  graph.events[0].cost_ns = 1000;
  graph.events[1].cost_ns = 10;
  return graph;
}

TEST(KeepCut, ChargesTheDroppedAncestorsOfWhatIsDropped) {
  const StepGraph graph = two_saved();
  const Problem problem(graph);
  KeepCut cut(problem, 2);
  Nanoseconds bound = 0;
  EXPECT_EQ(cut.within(140, bound).kept, (std::vector<ValueIndex>{1, 2}));
  EXPECT_EQ(bound, 0);
  // The cheap one goes; and half of the dear one's bytes are no help.
  EXPECT_EQ(cut.within(100, bound).kept, (std::vector<ValueIndex>{1}));
  EXPECT_EQ(bound, 9);  // 10, rounded down
  EXPECT_EQ(cut.within(0, bound).recompute_ns, 1010);
  EXPECT_EQ(bound, 1009);
}

// x -> a -> b -> c -> d: a cannot be computed again, and all but it are wanted after the loss.
StepGraph three_saved_after_a_pinned_op() {
  using testing::made;
  using testing::op;
  using testing::unpack;
  StepGraph graph;
  graph.values = {made(0, 10, kNone, {{0, 11}}), made(1, 50, 0, {{0, 2}}),
                  made(2, 100, 1, {{1, 3}, {9, 11}}), made(3, 10, 2, {{2, 4}, {7, 9}}),
                  made(4, 8, 3, {{3, 11}})};
  graph.values[1].handles = {{0, 1, 11}};
  graph.values[2].handles = {{1, 2, 11}};
  graph.values[3].handles = {{2, 3, 9}};
  graph.entry.blocks = {0};
  graph.entry.bytes_by_category[static_cast<int>(Category::kOther)] = 10;
  graph.events = {op("pinned", Phase::kForward, {0}, {1}), op("light", Phase::kForward, {1}, {2}),
                  op("heavy", Phase::kForward, {2}, {3}),  op("loss", Phase::kForward, {3}, {4}),
                  op("rest", Phase::kForward, {0}, {}),    op("rest", Phase::kForward, {0}, {}),
                  op("rest", Phase::kForward, {0}, {}),    unpack({2}, {3}),
                  op("grad", Phase::kBackward, {3}, {}),   unpack({1}, {2}),
                  op("grad", Phase::kBackward, {2}, {})};
  graph.events[0].pinned = "it reads the clock";
  graph.events[0].cost_ns = 5;
  graph.events[1].cost_ns = 1;
  graph.events[2].cost_ns = 1000;
  return graph;
}

TEST(KeepCut, CountsBytesOfWhatMustBeHeld) {
  const StepGraph graph = three_saved_after_a_pinned_op();
  const Problem problem(graph);
  KeepCut cut(problem, 5);
  Nanoseconds bound = 0;
  // Not the large one alone, from which the dear one would follow.
  EXPECT_EQ(cut.within(60, bound).kept, (std::vector<ValueIndex>{1, 3}));
  EXPECT_LE(bound, 1);
  // What holds least of all computes both again.
  EXPECT_EQ(cut.within(50, bound).kept, (std::vector<ValueIndex>{1}));
  EXPECT_EQ(bound, 1000);
}

// x -> a and x -> b: the same size, the same cost, both wanted after the loss.
StepGraph two_alike() {
  using testing::made;
  using testing::op;
  using testing::unpack;
  StepGraph graph;
  graph.values = {made(0, 10, kNone, {{0, 7}}), made(1, 50, 0, {{0, 1}, {5, 7}}),
                  made(2, 50, 1, {{1, 2}, {3, 5}}), made(3, 8, 2, {{2, 3}})};
  graph.values[1].handles = {{0, 1, 7}};
  graph.values[2].handles = {{1, 2, 5}};
  graph.entry.blocks = {0};
  graph.entry.bytes_by_category[static_cast<int>(Category::kOther)] = 10;
  graph.events = {op("one", Phase::kForward, {0}, {1}),  op("other", Phase::kForward, {0}, {2}),
                  op("loss", Phase::kForward, {0}, {3}), unpack({1}, {2}),
                  op("grad", Phase::kBackward, {2}, {}), unpack({0}, {1}),
                  op("grad", Phase::kBackward, {1}, {})};
  graph.events[0].cost_ns = 10;
  graph.events[1].cost_ns = 10;
  return graph;
}

TEST(KeepCut, MixesChoicesWhereNoPriceTellsOneValueFromAnother) {
  const StepGraph graph = two_alike();
  const Problem problem(graph);
  KeepCut cut(problem, 2);
  Nanoseconds bound = 0;
  EXPECT_EQ(cut.within(99, bound).kept, (std::vector<ValueIndex>{}));
  EXPECT_EQ(cut.mixed(100), (std::vector<ValueIndex>{1, 2}));
  EXPECT_EQ(cut.mixed(99), (std::vector<ValueIndex>{2}));
  EXPECT_EQ(cut.mixed(50), (std::vector<ValueIndex>{2}));
  EXPECT_EQ(cut.mixed(49), (std::vector<ValueIndex>{}));
}

TEST(BranchedCut, ChargesWholeValues) {
  const StepGraph graph = two_alike();
  const Problem problem(graph);
  KeepCut cut(problem, 2);
  Nanoseconds fraction = 0;
  cut.within(99, fraction);
  EXPECT_EQ(fraction, 0);                                     // a hundredth of 20
  EXPECT_EQ(branched_bound(problem, cut, 99, 1000, 100), 9);  // 10, rounded down
  EXPECT_EQ(branched_bound(problem, cut, 49, 1000, 100), 19);
  EXPECT_EQ(branched_bound(problem, cut, 100, 1000, 100), 0);
  EXPECT_EQ(branched_bound(problem, cut, 49, 5, 100), 5);  // enough
  // Nothing holds less than nothing.
  constexpr Nanoseconds kEndless = std::numeric_limits<Nanoseconds>::max();
  EXPECT_EQ(branched_bound(problem, cut, -1, kEndless, 100), kEndless);
}

// The least that any choice of held values costs, by trying all of them; nothing if there is none,
// or too many to try.
std::optional<Nanoseconds> cheapest_choice(const Problem& problem, EventIndex event, Bytes room) {
  const StepGraph& graph = problem.graph();
  const Moment moment(problem, event);
  std::vector<ValueIndex> candidates;
  for (ValueIndex v = 0; v < graph.num_values(); ++v)
    if (graph.values[v].producer != kNone && !moment.is_there(v)) candidates.push_back(v);
  if (candidates.size() > 12) return std::nullopt;
  std::optional<Nanoseconds> best;
  for (unsigned choice = 0; choice < 1u << candidates.size(); ++choice) {
    std::set<ValueIndex> held;
    Bytes bytes = 0;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if ((choice >> i & 1) == 0) continue;
      held.insert(candidates[i]);
      bytes += graph.values[candidates[i]].bytes;
    }
    if (bytes > room) continue;
    std::set<EventIndex> ops;
    std::vector<ValueIndex> missing;
    for (const Gap& gap : problem.restorable_gaps())
      if (moment.is_in(gap) && !held.contains(gap.value)) missing.push_back(gap.value);
    bool is_possible = true;
    while (!missing.empty()) {
      const EventIndex op = graph.values[missing.back()].producer;
      missing.pop_back();
      is_possible = is_possible && problem.is_replayable(op);
      if (!ops.insert(op).second) continue;
      for (ValueIndex v : problem.reads(op))
        if (!moment.is_there(v) && !held.contains(v)) missing.push_back(v);
    }
    Nanoseconds cost = 0;
    for (EventIndex op : ops) cost += graph.events[op].cost_ns;
    if (is_possible) best = std::min(best.value_or(cost), cost);
  }
  return best;
}

TEST(BranchedCut, IsTheCheapestChoiceOfWholeValues) {
  int num_compared = 0;
  for (int seed = 0; seed < 200; ++seed) {
    const StepGraph graph = testing::random_graph(seed, {.num_ops = 8});
    const Problem problem(graph);
    const EventIndex event = problem.unplanned().peak_event;
    if (graph.events[event].kind == EventKind::kUnpack) continue;
    KeepCut cut(problem, event);
    const Bytes all = cut.at_price(0).kept_bytes;
    for (const Bytes room : {all, all * 3 / 4, all / 2, all / 4}) {
      const std::optional<Nanoseconds> cheapest = cheapest_choice(problem, event, room);
      if (!cheapest) continue;
      const Nanoseconds bound = branched_bound(problem, cut, room, *cheapest + 1000, 10'000);
      EXPECT_LE(bound, *cheapest) << seed;
      EXPECT_GE(bound, *cheapest - 2) << seed;
      ++num_compared;
    }
  }
  EXPECT_GE(num_compared, 100);
}

TEST(KeepCut, HoldsWithinTheRoom) {
  for (int seed = 0; seed < 100; ++seed) {
    const StepGraph graph = testing::random_graph(seed, {.num_ops = 20});
    const Problem problem(graph);
    const EventIndex event = problem.unplanned().peak_event;
    if (graph.events[event].kind == EventKind::kUnpack) continue;
    KeepCut cut(problem, event);
    const Bytes all = cut.at_price(0).kept_bytes;
    Nanoseconds last = 0;
    for (const Bytes room : {all, all / 2, all / 4, Bytes{0}}) {
      Nanoseconds bound = 0;
      const Cut& choice = cut.within(room, bound);
      if (choice.kept_bytes <= room) {
        EXPECT_LE(bound, choice.recompute_ns) << seed;
        Bytes mixed_bytes = 0;
        for (ValueIndex v : cut.mixed(room)) mixed_bytes += graph.values[v].bytes;
        EXPECT_LE(mixed_bytes, room) << seed;
      }
      EXPECT_GE(bound, last) << seed;
      last = bound;
    }
  }
}

}  // namespace
}  // namespace tidemark
