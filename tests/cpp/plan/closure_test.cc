#include "tidemark/plan/closure.h"

#include <gtest/gtest.h>

#include "tidemark/graph/graph_json.h"

namespace tidemark {
namespace {

// x -> a -> b -> c, all used again at the end; a and b could stay for 10 and 1 bytes.
constexpr char kChain[] = R"({"version":1,
"events":[
{"name":"a","cost_ns":5,"inputs":[0],"outputs":[1]},
{"name":"b","cost_ns":6,"inputs":[1],"outputs":[2]},
{"name":"c","cost_ns":7,"inputs":[2],"outputs":[3]},
{"name":"big","cost_ns":1,"inputs":[0],"outputs":[4]},
{"name":"end","cost_ns":1,"inputs":[3,4],"outputs":[5]}],
"values":[{"bytes":0},{"bytes":10},{"bytes":1},{"bytes":5},{"bytes":20},{"bytes":1}]})";

class ClosureOfAChain : public ::testing::Test {
 protected:
  using Ops = std::vector<EventIndex>;

  StepGraph graph_ = graph_from_json(kChain);
  Problem problem_{graph_};
  ResidencyFacts facts_{problem_};
  Residency residency_{facts_};
  Closure closure_{residency_};
};

TEST_F(ClosureOfAChain, EndsAtWhatCanStay) {
  ASSERT_TRUE(closure_.find(2, 4, 26, Closure::kNoLimit));
  EXPECT_EQ(closure_.ops(), Ops{2});
  EXPECT_EQ(closure_.cost_ns(), 7);
}

TEST_F(ClosureOfAChain, ComputesAgainWhatDoesNotFit) {
  ASSERT_TRUE(closure_.find(2, 4, 20, Closure::kNoLimit));
  EXPECT_EQ(closure_.ops(), (Ops{2, 1, 0}));
  EXPECT_EQ(closure_.cost_ns(), 18);
}

TEST_F(ClosureOfAChain, SaysWhyItFails) {
  EXPECT_FALSE(closure_.find(2, 4, 20, 17));
  EXPECT_TRUE(closure_.is_too_dear());
  EXPECT_FALSE(closure_.find(2, 2, 20, Closure::kNoLimit));
  EXPECT_FALSE(closure_.is_too_dear());
}

TEST_F(ClosureOfAChain, SeveralOpsShareWhatTheyRead) {
  const Ops both{1, 2};
  ASSERT_TRUE(closure_.find(both, 4, 20, Closure::kNoLimit));
  EXPECT_EQ(closure_.ops(), (Ops{1, 2, 0}));
}

}  // namespace
}  // namespace tidemark
