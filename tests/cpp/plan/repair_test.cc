#include "tidemark/plan/repair.h"

#include <gtest/gtest.h>

#include "tidemark/generate/generate.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/ruin.h"

namespace tidemark {
namespace {

// Near its floor an unrolled network has lists of thousands of replays: one look at all of them
// takes longer than all the cuts of a small step.
class RepairOfALongList : public ::testing::Test {
 protected:
  RepairOfALongList() {
    const Bytes peak = problem_.unplanned().peak_bytes;
    budget_ = floor_ + (peak - floor_) / 40;
    EXPECT_TRUE(repair_.fit({.budget = budget_}));
  }

  StepGraph graph_ = generate("lstm64", {.optimizer = Optimizer::kNothing});
  Problem problem_{graph_};
  Bytes floor_ = memory_floor(problem_).bytes;
  ResidencyFacts facts_{problem_};
  Residency residency_{facts_};
  Repair repair_{residency_};
  Bytes budget_ = 0;
};

TEST_F(RepairOfALongList, EndsWhereItsWorkIsDoneThoughItCleansUp) {
  constexpr std::int64_t kWork = 100'000;
  const std::int64_t begin = residency_.work();
  repair_.fit({.budget = (floor_ + budget_) / 2, .most_work = kWork, .cuts_per_clean_up = 1});
  EXPECT_LT(residency_.work() - begin, 2 * kWork);
}

TEST_F(RepairOfALongList, EndsWhereItIsToldTo) {
  int num_left = 3;
  Repair repair(residency_, [&] { return num_left-- <= 0; });
  EXPECT_FALSE(repair.fit({.budget = floor_, .cuts_per_clean_up = 1}));
  EXPECT_LT(num_left, 0);
  const Nanoseconds cost = residency_.cost_ns();
  Repair(residency_, [] { return true; }).clean_up(problem_.unplanned().peak_bytes);
  EXPECT_EQ(residency_.cost_ns(), cost);
}

TEST_F(RepairOfALongList, IsRuinedAndRecreatedNoLongerThanTold) {
  constexpr std::int64_t kWork = 100'000;
  const std::int64_t begin = residency_.work();
  Ruin(residency_).run({.budget = budget_, .work = kWork, .stop = {}});
  EXPECT_LT(residency_.work() - begin, 2 * kWork);
}

}  // namespace
}  // namespace tidemark
