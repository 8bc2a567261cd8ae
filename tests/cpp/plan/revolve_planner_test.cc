#include "tidemark/plan/revolve_planner.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "tidemark/plan/bptt_planner.h"

namespace tidemark {
namespace {

TEST(Revolve, ReachesBinomialLengths) {
  EXPECT_EQ(revolve_reach(3, 0), 1);
  EXPECT_EQ(revolve_reach(3, 2), 10);
  EXPECT_EQ(revolve_reach(10, 4), 1001);
  EXPECT_EQ(revolve_reach(2, -1), 0);
}

// Forward steps per step for 1000 steps, as in the literature.
TEST(Revolve, NeedsThePublishedNumberOfForwardSteps) {
  EXPECT_EQ(revolve_steps(1000, 10), 3636);
  EXPECT_EQ(revolve_steps(1000, 20), 2747);
  EXPECT_EQ(revolve_steps(1000, 31), 2439);
  EXPECT_EQ(revolve_steps(1000, 50), 1948);
  EXPECT_EQ(revolve_steps(1000, 100), 1898);
  EXPECT_EQ(revolve_steps(1, 5), 0);
}

std::int64_t steps_by_split(int length, int slots) {
  if (length == 1) return 0;
  const int k = revolve_split(length, slots);
  EXPECT_GE(k, 1);
  EXPECT_LT(k, length);
  const int right = slots > 1 ? slots - 1 : 1;
  return k + steps_by_split(length - k, right) + steps_by_split(k, slots);
}

TEST(Revolve, SplitsSoThatTheClosedFormIsMet) {
  for (int slots = 1; slots <= 8; ++slots)
    for (int length = 1; length <= (slots == 1 ? 15 : 120); ++length)
      EXPECT_EQ(steps_by_split(length, slots), revolve_steps(length, slots))
          << length << ", " << slots;
}

TEST(Revolve, ClosedFormIsTheBestOfAllSplits) {
  constexpr int kMost = 60;
  constexpr int kSlots = 6;
  const RevolveTable table(std::vector<Nanoseconds>(kMost, 1), kSlots);
  for (int slots = 1; slots <= kSlots; ++slots)
    for (int length = 1; length <= kMost; ++length)
      EXPECT_EQ(table.cost(0, length, slots), revolve_steps(length, slots));
}

TEST(Revolve, StoringHiddenStatesIsRevolvePlusOneForwardPerStep) {
  const BpttTable hidden(100, 12, kHsm);
  for (int slots = 1; slots <= 12; ++slots)
    for (int length = 1; length <= 100; ++length)
      EXPECT_EQ(hidden.cost(length, slots), revolve_steps(length, slots) + length);
}

TEST(Revolve, RunsCheapStepsAgainRatherThanDearOnes) {
  // With two slots on four steps the dear first one is run once: the state behind it is stored.
  const RevolveTable table({100, 1, 1, 1}, 2);
  EXPECT_EQ(table.split(0, 4, 2), 1);
  EXPECT_EQ(table.cost(0, 4, 2), 100 + 3);
}

}  // namespace
}  // namespace tidemark
