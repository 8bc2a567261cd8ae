#include "tidemark/plan/bptt_planner.h"

#include <gtest/gtest.h>

#include <vector>

namespace tidemark {
namespace {

struct Row {
  int steps;
  int units;
  std::int64_t cost;
};

void expect_costs(const BpttTable& table, const std::vector<Row>& rows) {
  for (const Row& row : rows)
    EXPECT_EQ(table.cost(row.steps, row.units), row.cost) << row.steps << ", " << row.units;
}

TEST(BpttTable, HasTheCostsOfStoringHiddenStates) {
  expect_costs(BpttTable(1000, 50, kHsm), {{10, 2, 30},
                                           {10, 3, 25},
                                           {10, 5, 23},
                                           {100, 3, 590},
                                           {100, 5, 416},
                                           {100, 10, 322},
                                           {1000, 5, 7284},
                                           {1000, 10, 4636},
                                           {1000, 20, 3747},
                                           {1000, 50, 2948}});
}

TEST(BpttTable, HasTheCostsOfStoringInternalStates) {
  expect_costs(BpttTable(1000, 50, kIsm), {{10, 2, 24},
                                           {10, 3, 18},
                                           {10, 5, 15},
                                           {100, 3, 497},
                                           {100, 5, 320},
                                           {100, 10, 225},
                                           {1000, 5, 6292},
                                           {1000, 10, 3640},
                                           {1000, 20, 2750},
                                           {1000, 50, 1950}});
}

// 5 % of the memory of plain back-propagation (5000 units) for 1.950 forwards a step.
TEST(BpttTable, HasTheCostsOfMixing) {
  expect_costs(BpttTable(1000, 250, msm(5)), {{1000, 10, 4613},
                                              {1000, 20, 3557},
                                              {1000, 32, 2898},
                                              {1000, 50, 2723},
                                              {1000, 64, 2556},
                                              {1000, 100, 1995},
                                              {1000, 150, 1974},
                                              {1000, 250, 1950}});
}

TEST(BpttTable, WithRoomForEverythingRunsEveryStepOnceOrTwice) {
  const BpttTable hidden(20, 20, kHsm);
  const BpttTable internal(20, 20, kIsm);
  for (int t = 1; t <= 20; ++t) {
    EXPECT_EQ(hidden.cost(t, 1), t * (t + 1) / 2);
    EXPECT_EQ(hidden.cost(t, 20), 2 * t - 1);
    EXPECT_EQ(internal.cost(t, 20), t);
  }
}

}  // namespace
}  // namespace tidemark
