// The public instances: what has to be reached on each, and how much work that may take. Work is
// the same on every machine; 300 million steps take about a second.
#include <gtest/gtest.h>

#include <string>

#include "arena/bench_data.h"
#include "arena/training_trace.h"
#include "base/extent.h"
#include "tidemark/arena/pack.h"
#include "tidemark/arena/validate_layout.h"

namespace tidemark {
namespace {

using testing::load_bench_data;

constexpr double kNoClock = 10'000;

struct Goal {
  std::string file;
  Bytes height;
  std::int64_t work;
  bool is_long = false;  // for `make test-all` only
};

class PublicInstance : public ::testing::TestWithParam<Goal> {};

TEST_P(PublicInstance, IsPackedIntoItsHeightWithinItsWork) {
  const Goal& goal = GetParam();
  if (goal.is_long && !testing::is_test_all()) {
    GTEST_SKIP() << "takes many seconds: run by make test-all";
  }
  const auto instance = load_bench_data(goal.file);
  TIDEMARK_REQUIRE_BENCH_DATA(instance);
  const Packing packing =
      pack(*instance, {.capacity = goal.height, .time_limit_s = kNoClock, .work_limit = goal.work});
  EXPECT_LE(packing.layout.height, goal.height);
  EXPECT_FALSE(validate(*instance, packing.layout));
}

INSTANTIATE_TEST_SUITE_P(Adversarial, PublicInstance,
                         ::testing::Values(Goal{"minimalloc/A.1048576.csv", 1048576, 20'000'000},
                                           Goal{"minimalloc/C.1048576.csv", 1048576, 20'000'000},
                                           Goal{"minimalloc/C.1048576.csv", 1039360, 20'000'000},
                                           Goal{"minimalloc/E.1048576.csv", 1048576, 20'000'000},
                                           Goal{"minimalloc/G.1048576.csv", 1048576, 20'000'000},
                                           Goal{"minimalloc/I.1048576.csv", 1048576, 60'000'000},
                                           Goal{"minimalloc/K.1048576.csv", 1048576, 20'000'000}));

INSTANTIATE_TEST_SUITE_P(
    Training, PublicInstance,
    ::testing::Values(Goal{"idealloc/iree_mobilenet.csv", 5706112, 1'000'000},
                      Goal{"idealloc/tiny_bert.csv", 758936113, 30'000'000},
                      Goal{"idealloc/bert_base.csv", 15734934689 + 4096, 300'000'000},
                      Goal{"idealloc/pangu_2.6B.csv", 5572042815, 300'000'000},
                      Goal{"idealloc/resnet50.csv", 1515472556, 300'000'000},
                      Goal{"idealloc/pangu_2.6B.csv", 5538394924, 9'000'000'000, true}));

TEST(TrainingTrace, Of60000BuffersIsWithinHalfAPerCent) {
  const Instance instance = testing::training_trace(60'000, 1);
  const Packing packing = pack(instance, {.time_limit_s = kNoClock, .work_limit = 150'000'000});
  EXPECT_LE(packing.gap(), 0.005);
}

}  // namespace
}  // namespace tidemark
