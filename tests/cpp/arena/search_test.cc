#include "tidemark/arena/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "arena/brute_force.h"
#include "arena/random_instance.h"
#include "tidemark/arena/partition.h"
#include "tidemark/arena/validate_layout.h"

namespace tidemark::arena {
namespace {

using testing::BruteForce;
using testing::RandomInstance;

Order shuffled(std::size_t count, RandomInstance& random) {
  Order order(count);
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = count; i > 1; --i) {
    std::swap(order[i - 1], order[random.below(static_cast<int>(i))]);
  }
  return order;
}

// Whether all partitions fit in `capacity`, in steps of `work`; found layouts are validated.
bool fits(const Instance& instance, Bytes capacity, std::int64_t work, RandomInstance& random) {
  Partitions partitions = make_partitions(instance);
  for (std::size_t p = 0; p < partitions.parts.size(); ++p) {
    const Partition& part = partitions.parts[p];
    Search search(part, shuffled(part.items.size(), random), capacity);
    while (search.state() == SearchState::kRunning) search.run(work);
    if (search.state() == SearchState::kExhausted) return false;
    EXPECT_LE(search.placement().height, capacity);
    partitions.settle(p, search.placement());
  }
  EXPECT_FALSE(validate(instance, partitions.layout));
  return true;
}

class SearchIsExact : public ::testing::TestWithParam<bool> {};

TEST_P(SearchIsExact, OnSmallInstancesWithAnyOrderAndAnyPauses) {
  int num_hard = 0;
  for (std::uint32_t seed = 0; seed < 4000; ++seed) {
    RandomInstance random(seed);
    const Instance instance = random.make({.num_buffers = 3 + random.below(5),
                                           .num_times = 3 + random.below(6),
                                           .with_rules = GetParam()});
    const auto least = BruteForce(instance).run();
    if (!least) continue;
    num_hard += *least > make_partitions(instance).lower_bound ? 1 : 0;
    const std::int64_t work = 1 + random.below(100);
    ASSERT_TRUE(fits(instance, *least, work, random)) << "seed " << seed;
    ASSERT_FALSE(fits(instance, *least - 1, work, random)) << "seed " << seed;
  }
  // Alignments and obstacles make the lower bound miss often; without them it takes more buffers.
  if (GetParam()) {
    EXPECT_GT(num_hard, 100);
  }
}

INSTANTIATE_TEST_SUITE_P(Plain, SearchIsExact, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(WithRules, SearchIsExact, ::testing::Values(true));

}  // namespace
}  // namespace tidemark::arena
