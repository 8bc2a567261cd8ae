#include "tidemark/plan/lookahead.h"

#include <gtest/gtest.h>

#include "plan/random_graph.h"
#include "tidemark/plan/floor.h"

namespace tidemark {
namespace {

TEST(Lookahead, EndsWhereItsWorkIsDone) {
  int num_with_replays = 0;
  for (int seed = 0; seed < 20; ++seed) {
    const StepGraph graph = testing::random_graph(seed, {.num_ops = 30});
    const Problem problem(graph);
    const Lookahead lookahead(problem);
    const Bytes floor = memory_floor(problem).bytes;
    const Bytes limit = (floor + problem.unplanned().peak_bytes) / 2;
    std::int64_t work = 0;
    const auto schedule = lookahead.run(limit, {}, {}, work);
    if (!schedule || schedule->empty()) continue;
    ++num_with_replays;
    std::int64_t same_work = 0;
    EXPECT_EQ(lookahead.run(limit, {}, {.most_work = work}, same_work), schedule) << seed;
    EXPECT_EQ(same_work, work) << seed;
    EXPECT_FALSE(lookahead.run(limit, {}, {.most_work = 0}, same_work)) << seed;
  }
  EXPECT_GE(num_with_replays, 5);
}

TEST(Lookahead, EndsWhereItCostsTooMuchOrIsToldTo) {
  const StepGraph graph = testing::random_graph(1, {.num_ops = 30});
  const Problem problem(graph);
  const Bytes limit = (memory_floor(problem).bytes + problem.unplanned().peak_bytes) / 2;
  std::int64_t work = 0;
  ASSERT_TRUE(Lookahead(problem).run(limit, {}));
  EXPECT_FALSE(Lookahead(problem).run(limit, {}, {.most_cost_ns = 0}, work));
  EXPECT_FALSE(Lookahead(problem).run(limit, {}, {.stop = [] { return true; }}, work));
}

}  // namespace
}  // namespace tidemark
