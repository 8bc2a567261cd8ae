#include "tidemark/arena/pack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "arena/brute_force.h"
#include "arena/random_instance.h"
#include "tidemark/arena/validate_layout.h"

namespace tidemark {
namespace {

using testing::BruteForce;
using testing::RandomInstance;

TEST(Pack, OfNothingIsEmpty) {
  const Packing packing = pack({});
  EXPECT_EQ(packing.status, PackStatus::kOptimal);
  EXPECT_EQ(packing.layout, Layout{});
}

TEST(Pack, BuffersThatNeverMeetShareTheBottom) {
  const Packing packing = pack({.buffers = {{0, 2, 8}, {2, 5, 16}, {5, 6, 4}}});
  EXPECT_EQ(packing.layout.offsets, (std::vector<Bytes>{0, 0, 0}));
  EXPECT_EQ(packing.layout.height, 16);
  EXPECT_EQ(packing.status, PackStatus::kOptimal);
}

TEST(Pack, EqualSizesReachTheLowerBound) {
  RandomInstance random(1);
  Instance instance = random.make({.num_buffers = 2000, .num_times = 500});
  for (Buffer& buffer : instance.buffers) buffer.size = 24;
  const Packing packing = pack(instance);
  EXPECT_EQ(packing.layout.height, packing.lower_bound);
  EXPECT_EQ(packing.work, 0);
}

TEST(Pack, OffsetsAndSizesFollowTheAlignment) {
  const Packing packing = pack({.buffers = {{0, 2, 100}, {1, 3, 1}}, .alignment = 64});
  EXPECT_EQ(packing.layout.height, 192);
  EXPECT_EQ(packing.lower_bound, 192);
}

TEST(Pack, MistakesSayWhatIsAllowed) {
  EXPECT_THROW(pack({.buffers = {{3, 1, 8}}}), std::invalid_argument);
  EXPECT_THROW(pack({}, {.capacity = -1}), std::invalid_argument);
  EXPECT_THROW(pack({}, {.time_limit_s = 0}), std::invalid_argument);
  EXPECT_THROW(pack({}, {.work_limit = -1}), std::invalid_argument);
}

TEST(Pack, StopsWhenToldTo) {
  RandomInstance random(2);
  const Instance instance = random.make({.num_buffers = 300, .num_times = 100, .largest = 1000});
  int num_asked = 0;
  const Packing packing =
      pack(instance, {.time_limit_s = 100, .cancel = [&] { return ++num_asked == 3; }});
  EXPECT_LE(num_asked, 3);
  EXPECT_FALSE(validate(instance, packing.layout));
}

TEST(Pack, GivesTheSameLayoutWhateverTheOrderOfRows) {
  for (std::uint32_t seed = 0; seed < 30; ++seed) {
    RandomInstance random(seed);
    const Instance instance = random.make({.num_buffers = 60, .num_times = 30, .largest = 50});
    std::vector<std::size_t> rows(instance.buffers.size());
    std::iota(rows.begin(), rows.end(), 0);
    for (std::size_t i = rows.size() - 1; i > 0; --i) {
      std::swap(rows[i], rows[random.below(static_cast<int>(i) + 1)]);
    }
    Instance permuted;
    for (const std::size_t row : rows) permuted.buffers.push_back(instance.buffers[row]);
    const PackOptions options{.time_limit_s = 1000, .work_limit = 500'000};
    const Packing first = pack(instance, options);
    const Packing second = pack(permuted, options);
    EXPECT_EQ(first.work, second.work);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSERT_EQ(second.layout.offsets[i], first.layout.offsets[rows[i]]) << "seed " << seed;
    }
  }
}

// How many random instances: `make test` tries fewer than `make test-all`.
std::uint32_t num_random(std::uint32_t few, std::uint32_t all) {
  return std::getenv("TIDEMARK_TEST_ALL") == nullptr ? few : all;
}

TEST(Pack, IsOptimalWheneverItSaysSo) {
  const std::uint32_t count = num_random(10'000, 100'000);
  std::uint32_t num_optimal = 0;
  for (std::uint32_t seed = 0; seed < count; ++seed) {
    RandomInstance random(seed);
    const Instance instance =
        random.make({.num_buffers = 1 + random.below(8), .num_times = 2 + random.below(8)});
    const Packing packing = pack(instance, {.work_limit = 2'000'000});
    const Bytes least = *BruteForce(instance).run();
    ASSERT_FALSE(validate(instance, packing.layout)) << "seed " << seed;
    ASSERT_LE(packing.lower_bound, least) << "seed " << seed;
    ASSERT_GE(packing.layout.height, least) << "seed " << seed;
    if (packing.status != PackStatus::kOptimal) continue;
    ++num_optimal;
    ASSERT_EQ(packing.layout.height, least) << "seed " << seed;
  }
  EXPECT_GE(num_optimal, count - count / 100);
}

}  // namespace
}  // namespace tidemark
