#include "tidemark/plan/rotor_planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tidemark/plan/bptt_planner.h"

namespace tidemark {
namespace {

std::vector<RotorStage> uniform(int length, const RotorOption& option) {
  return std::vector<RotorStage>(static_cast<std::size_t>(length),
                                 {.state = 1, .forward_ns = 1, .options = {option}});
}

// Where no tape fits beside another, only states are stored: Gruslys' HSM.
TEST(RotorTable, EqualsGruslysOnUniformChainsThatStoreHiddenStates) {
  constexpr int kTape = 40;  // more than all slots for states
  const BpttTable gruslys(40, 20, kHsm);
  for (int length = 1; length <= 40; ++length) {
    const RotorTable rotor(uniform(length, {.kept = kTape, .time_ns = 1}), kTape + 20);
    for (int units = 1; units <= 20; ++units)
      EXPECT_EQ(rotor.time(kTape + units), gruslys.cost(length, units));
  }
}

// D(t, m) = min over y of y + D(t - y, m - 1) + D(y, m), or 1 + D(t - 1, m - alpha).
std::vector<std::vector<std::int64_t>> mixed(int steps, int units, int alpha) {
  std::vector<std::vector<std::int64_t>> d(
      steps + 1, std::vector<std::int64_t>(units + 1, RotorTable::kImpossible));
  for (int m = 0; m <= units; ++m) d[0][m] = 0;
  for (int t = 1; t <= steps; ++t)
    for (int m = alpha; m <= units; ++m) {
      d[t][m] = 1 + d[t - 1][m - alpha];
      for (int y = 1; y < t; ++y) d[t][m] = std::min(d[t][m], y + d[t - y][m - 1] + d[y][m]);
      d[t][m] = std::min(d[t][m], RotorTable::kImpossible);
    }
  return d;
}

TEST(RotorTable, EqualsGruslysOnUniformChainsThatMix) {
  for (int alpha : {1, 2, 5}) {
    const auto expected = mixed(30, 60, alpha);
    const RotorTable rotor(uniform(30, {.kept = alpha, .time_ns = 1}), 60);
    for (int m = 0; m <= 60; ++m) EXPECT_EQ(rotor.time(m), expected[30][m]) << alpha << ", " << m;
  }
}

TEST(RotorTable, MoreMemoryIsNeverSlower) {
  std::vector<RotorStage> stages;
  stages.reserve(20);
  for (int i = 0; i < 20; ++i)
    stages.push_back({.state = 1 + i % 3,
                      .passing_slots = 1 + i % 2,
                      .forward_ns = 5 + i * 7 % 11,
                      .options = {{.kept = 2 + i * 5 % 7, .backward_slots = 2, .time_ns = 30}}});
  const RotorTable table(stages, 120);
  for (int m = 1; m <= 120; ++m) EXPECT_LE(table.time(m), table.time(m - 1));
  EXPECT_EQ(table.time(120), 20 * 30);
}

TEST(RotorTable, TakesTheOptionThatFits) {
  const std::vector<RotorStage> stages(
      4, {.state = 1,
          .forward_ns = 10,
          .options = {{.kept = 4, .time_ns = 20}, {.kept = 2, .time_ns = 23}}});
  const RotorTable table(stages, 16);
  EXPECT_EQ(table.time(16), 80);
  EXPECT_EQ(table.time(8), 92);
  EXPECT_EQ(table.choice(0, 3, 16).option, 0);
  EXPECT_EQ(table.choice(0, 3, 8).option, 1);
}

}  // namespace
}  // namespace tidemark
