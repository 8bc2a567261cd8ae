#include "tidemark/arena/pack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "arena/brute_force.h"
#include "arena/random_instance.h"
#include "base/extent.h"
#include "tidemark/arena/partition.h"
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

TEST(Pack, IsOptimalWheneverItSaysSo) {
  const std::uint32_t count = testing::num_random(10'000, 100'000);
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
  EXPECT_EQ(num_optimal, count);
}

TEST(Pack, OfFixedBuffersThatOverlapNamesThem) {
  const Packing packing = pack({.buffers = {{0, 2, 8},
                                            {.begin = 0, .end = 2, .size = 8, .offset = 0},
                                            {.begin = 1, .end = 3, .size = 8, .offset = 4}}});
  EXPECT_EQ(packing.status, PackStatus::kInfeasible);
  EXPECT_EQ(packing.misfit, (std::vector<std::int32_t>{1, 2}));
  EXPECT_TRUE(packing.is_irreducible);
  EXPECT_TRUE(packing.layout.offsets.empty());
}

TEST(Pack, SaysWhichBuffersDoNotFit) {
  const Instance instance{
      .buffers = {{0, 4, 10}, {0, 2, 50}, {1, 3, 50}, {2, 4, 60}, {0, 4, 1}, {1, 2, 1}}};
  const Packing packing = pack(instance, {.capacity = 110});
  EXPECT_EQ(packing.status, PackStatus::kInfeasible);
  EXPECT_EQ(packing.misfit, (std::vector<std::int32_t>{0, 2, 3}));
  EXPECT_TRUE(packing.is_irreducible);
}

TEST(Pack, SaysWhyWhatTheLowerBoundAllowsDoesNotFit) {
  int num_hard = 0;
  for (std::uint32_t seed = 0; seed < 2000; ++seed) {
    RandomInstance random(seed);
    const Instance instance = random.make({.num_buffers = 7, .num_times = 6, .with_rules = true});
    const auto least = BruteForce(instance).run();
    if (!least) continue;
    const Packing packing = pack(instance, {.capacity = *least - 1});
    ASSERT_EQ(packing.status, PackStatus::kInfeasible) << "seed " << seed;
    ASSERT_TRUE(packing.is_irreducible) << "seed " << seed;
    num_hard += arena::make_partitions(instance).lower_bound < *least ? 1 : 0;
    for (std::size_t left_out = 0; left_out <= packing.misfit.size(); ++left_out) {
      Instance some = instance;
      some.buffers.clear();
      for (std::size_t i = 0; i < packing.misfit.size(); ++i) {
        if (i != left_out) some.buffers.push_back(instance.buffers[packing.misfit[i]]);
      }
      const bool fits = *BruteForce(some).run() < *least;
      ASSERT_EQ(fits, left_out < packing.misfit.size()) << "seed " << seed;
    }
  }
  EXPECT_GT(num_hard, 50);
}

TEST(Pack, WithRulesIsOptimalWheneverItSaysSo) {
  const std::uint32_t count = testing::num_random(2000, 20'000);
  std::uint32_t num_optimal = 0;
  std::uint32_t num_possible = 0;
  for (std::uint32_t seed = 0; seed < count; ++seed) {
    RandomInstance random(seed + 1'000'000);
    const Instance instance = random.make(
        {.num_buffers = 1 + random.below(8), .num_times = 2 + random.below(8), .with_rules = true});
    const Packing packing = pack(instance, {.work_limit = 2'000'000});
    const auto least = BruteForce(instance).run();
    ASSERT_EQ(packing.layout.offsets.empty(), !least) << "seed " << seed;
    if (!least) continue;
    ++num_possible;
    ASSERT_FALSE(validate(instance, packing.layout)) << "seed " << seed;
    ASSERT_LE(packing.lower_bound, *least) << "seed " << seed;
    ASSERT_GE(packing.layout.height, *least) << "seed " << seed;
    num_optimal += packing.status == PackStatus::kOptimal ? 1 : 0;
    if (packing.status != PackStatus::kOptimal) continue;
    ASSERT_EQ(packing.layout.height, *least) << "seed " << seed;
  }
  EXPECT_EQ(num_optimal, num_possible);
}

TEST(Pack, TimesOutWithTheBestLayoutItHas) {
  RandomInstance random(2);
  const Instance instance = random.make({.num_buffers = 300, .num_times = 100, .largest = 1000});
  const Bytes bound = pack(instance, {.work_limit = 0}).lower_bound;
  const Packing packing = pack(instance, {.capacity = bound, .work_limit = 0});
  EXPECT_EQ(packing.status, PackStatus::kTimeOut);
  EXPECT_GT(packing.layout.height, bound);
  EXPECT_FALSE(validate(instance, packing.layout));
}

TEST(Pack, ScalingTimesOrSizesChangesNothingButTheScale) {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    RandomInstance random(seed);
    const Instance instance = random.make({.num_buffers = 40, .num_times = 25, .largest = 64});
    Instance scaled = instance;
    for (Buffer& buffer : scaled.buffers) {
      buffer.begin = 7 * buffer.begin - 100;
      buffer.end = 7 * buffer.end - 100;
      buffer.size *= 1024;
    }
    const PackOptions options{.time_limit_s = 1000, .work_limit = 1'000'000};
    const Bytes height = pack(instance, options).layout.height;
    EXPECT_EQ(pack(scaled, options).layout.height, 1024 * height) << "seed " << seed;
  }
}

TEST(Pack, ACopyAtAnotherTimeCostsNothing) {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    RandomInstance random(seed);
    const Instance instance = random.make({.num_buffers = 8, .num_times = 6, .largest = 20});
    Instance twice = instance;
    for (Buffer buffer : instance.buffers) {
      buffer.begin += 100;
      buffer.end += 100;
      twice.buffers.push_back(buffer);
    }
    EXPECT_EQ(pack(twice).layout.height, pack(instance).layout.height) << "seed " << seed;
  }
}

}  // namespace
}  // namespace tidemark
