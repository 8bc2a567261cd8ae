#include "tidemark/plan/residency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "plan/random_graph.h"
#include "tidemark/plan/candidate.h"

namespace tidemark {
namespace {

using testing::random_graph;

// Makes random moves: what a list misses is restored there or stays, by the toss of a coin.
class RandomMoves {
 public:
  RandomMoves(Residency& residency, std::uint32_t seed) : residency_(residency), random_(seed) {}

  void move() {
    if (residency_.num_replays() > 0 && random_() % 3 == 0)
      remove_any();
    else
      add_any();
  }

 private:
  void add_any() {
    const Problem& problem = residency_.problem();
    if (problem.gaps().empty()) return;
    const Gap& gap = problem.gaps()[random_() % problem.gaps().size()];
    const EventIndex at = place_in(gap);
    const EventIndex op = problem.graph().values[gap.value].producer;
    if (residency_.is_listed(at, op) || !problem.can_replay_at(gap.value, at)) return;
    std::vector<EventIndex> ops{op};
    for (std::size_t next = 0; next < ops.size(); ++next)
      for (ValueIndex v : problem.reads(ops[next])) {
        if (residency_.is_there(v, at)) continue;
        if (problem.graph().values[v].producer == kNone) return;
        const EventIndex parent = problem.graph().values[v].producer;
        const bool is_listed = residency_.is_listed(at, parent);
        if (is_listed || std::ranges::find(ops, parent) != ops.end()) continue;
        if (residency_.can_stay(v, at) && random_() % 2 == 0) continue;
        if (!problem.can_replay_at(v, at)) {
          if (!residency_.can_stay(v, at)) return;
          continue;
        }
        ops.push_back(parent);
      }
    residency_.add(at, ops);
  }

  // The end of the gap, or as often an event inside it that can have a list.
  EventIndex place_in(const Gap& gap) {
    const StepGraph& graph = residency_.problem().graph();
    const EventKind kind = graph.has_runtime_actions ? EventKind::kUnpack : EventKind::kOp;
    const EventIndex at =
        gap.time.begin + static_cast<EventIndex>(random_() % (gap.time.end - gap.time.begin));
    const bool is_place = at > graph.values[gap.value].producer && graph.events[at].kind == kind;
    return random_() % 2 == 0 && is_place ? at : gap.time.end;
  }

  void remove_any() {
    const Schedule schedule = residency_.schedule();
    const ReplayList& list = schedule[random_() % schedule.size()];
    residency_.remove({list.event, list.ops[random_() % list.ops.size()]});
  }

  Residency& residency_;
  std::mt19937 random_;
};

// It may count too much where a list restores what handles still keep; never too little.
TEST(Residency, AgreesWithTheSimulatorAfterEveryMove) {
  int num_moves = 0;
  int num_higher = 0;
  for (int seed = 0; seed < 300; ++seed) {
    const bool is_recorded = seed % 3 != 0;
    const StepGraph graph = random_graph(seed, {.num_ops = 4 + seed % 20,
                                                .with_in_place = is_recorded,
                                                .has_runtime_actions = is_recorded});
    const Problem problem(graph);
    const ResidencyFacts facts(problem);
    Residency residency(facts);
    RandomMoves moves(residency, seed);
    EXPECT_LE(residency.peak_bytes(), problem.unplanned().peak_bytes) << seed;
    for (int i = 0; i < 25; ++i) {
      moves.move();
      const auto judged = judge(problem, residency.schedule());
      ASSERT_TRUE(judged) << seed << ' ' << i;
      ASSERT_GE(residency.peak_bytes(), judged->simulation.peak_bytes) << seed << ' ' << i;
      ++num_moves;
      num_higher += residency.peak_bytes() > judged->simulation.peak_bytes;
      ASSERT_EQ(residency.cost_ns(), judged->simulation.recompute_ns) << seed << ' ' << i;
      ASSERT_EQ(residency.num_replays(), judged->simulation.num_replays) << seed << ' ' << i;
    }
  }
  EXPECT_LT(num_higher * 200, num_moves) << num_higher << " of " << num_moves;
}

TEST(Residency, UndoesMovesToTheByte) {
  for (int seed = 0; seed < 60; ++seed) {
    const StepGraph graph = random_graph(seed, {.num_ops = 20});
    const Problem problem(graph);
    const ResidencyFacts facts(problem);
    Residency residency(facts);
    RandomMoves moves(residency, seed);
    for (int i = 0; i < 10; ++i) moves.move();
    const Schedule before = residency.schedule();
    const Bytes peak = residency.peak_bytes();
    const std::size_t mark = residency.log_size();
    for (int i = 0; i < 10; ++i) moves.move();
    residency.undo_to(mark);
    EXPECT_EQ(residency.schedule(), before) << seed;
    EXPECT_EQ(residency.peak_bytes(), peak) << seed;
  }
}

TEST(RangeTree, KnowsTheMostOfEveryRange) {
  std::mt19937 random(7);
  std::vector<RangeTree::Number> numbers(37);
  for (auto& number : numbers) number = static_cast<int>(random() % 100);
  RangeTree tree(numbers);
  for (int i = 0; i < 200; ++i) {
    int begin = static_cast<int>(random() % 38);
    int end = static_cast<int>(random() % 38);
    if (begin > end) std::swap(begin, end);
    const auto number = static_cast<RangeTree::Number>(random() % 50) - 25;
    tree.add(begin, end, number);
    for (int j = begin; j < end; ++j) numbers[j] += number;
    const auto most = std::ranges::max_element(numbers);
    EXPECT_EQ(tree.most(), *most);
    EXPECT_EQ(tree.first_of_most(), most - numbers.begin());
    if (begin < end) {
      EXPECT_EQ(tree.most_in(begin, end),
                *std::max_element(numbers.begin() + begin, numbers.begin() + end));
    }
  }
}

}  // namespace
}  // namespace tidemark
