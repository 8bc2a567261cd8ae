#include "tidemark/plan/knapsack_planner.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace tidemark {
namespace {

Nanoseconds best_of_all_subsets(const std::vector<KnapsackItem>& items, Bytes capacity) {
  Nanoseconds best = 0;
  for (unsigned set = 0; set < 1U << items.size(); ++set) {
    KnapsackItem sum;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if ((set >> i & 1U) == 0) continue;
      sum.worth += items[i].worth;
      sum.weight += items[i].weight;
    }
    if (sum.weight <= capacity) best = std::max(best, sum.worth);
  }
  return best;
}

TEST(Knapsack, IsTheBestOfAllSubsetsWhereWeightsAreWholeQuanta) {
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    std::vector<KnapsackItem> items;
    Bytes left = 10'000;  // so that a byte is a quantum
    for (int i = 0; i < 9; ++i) {
      const Bytes weight = 1 + static_cast<Bytes>(random() % 1000);
      items.push_back({static_cast<Nanoseconds>(random() % 100), weight});
      left -= weight;
    }
    items.push_back({50, left});
    const std::vector<Bytes> capacities{0, 500, 2500, 5000, 10'000};
    const auto answers = solve_knapsacks(items, capacities);
    for (std::size_t c = 0; c < capacities.size(); ++c) {
      KnapsackItem sum;
      for (int i : answers[c]) {
        sum.worth += items[i].worth;
        sum.weight += items[i].weight;
      }
      EXPECT_LE(sum.weight, capacities[c]);
      EXPECT_EQ(sum.worth, best_of_all_subsets(items, capacities[c]));
    }
  }
}

}  // namespace
}  // namespace tidemark
