#include "tidemark/arena/validate_layout.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "arena/random_instance.h"
#include "tidemark/arena/pack.h"

namespace tidemark {
namespace {

using testing::RandomInstance;

Instance two_buffers() {
  return {.buffers = {{.begin = 0, .end = 2, .size = 8, .name = "a"},
                      {.begin = 1, .end = 3, .size = 8, .name = "b"}}};
}

LayoutRule rule_of(const Instance& instance, const Layout& layout) {
  const auto found = validate(instance, layout);
  EXPECT_TRUE(found);
  return found ? found->rule : LayoutRule::kWrongCount;
}

TEST(ValidateLayout, AcceptsBuffersSideBySide) {
  EXPECT_FALSE(validate(two_buffers(), {{0, 8}, 16}));
}

TEST(ValidateLayout, AcceptsSharingWhereOneLifeEndsAsAnotherBegins) {
  Instance instance = two_buffers();
  instance.buffers[1].begin = 2;
  EXPECT_FALSE(validate(instance, {{0, 0}, 8}));
}

TEST(ValidateLayout, AcceptsWhatTakesNoRoomAnywhere) {
  Instance instance = two_buffers();
  instance.buffers.push_back({.begin = 1, .end = 1, .size = 100});
  instance.buffers.push_back({.begin = 0, .end = 3, .size = 0});
  instance.forbidden = {{90, 100}};
  EXPECT_FALSE(validate(instance, {{0, 8, 4, 95}, 16}));
}

TEST(ValidateLayout, NamesEachBrokenRule) {
  Instance instance = two_buffers();
  EXPECT_EQ(rule_of(instance, {{0}, 8}), LayoutRule::kWrongCount);
  EXPECT_EQ(rule_of(instance, {{0, -8}, 8}), LayoutRule::kNegative);
  EXPECT_EQ(rule_of(instance, {{0, 8}, 15}), LayoutRule::kWrongHeight);
  instance.buffers[1].alignment = 16;
  EXPECT_EQ(rule_of(instance, {{0, 8}, 16}), LayoutRule::kMisaligned);
  instance.buffers[1].alignment = 1;
  instance.buffers[1].offset = 16;
  EXPECT_EQ(rule_of(instance, {{0, 8}, 16}), LayoutRule::kNotAsFixed);
  instance.buffers[1].offset = std::nullopt;
  instance.forbidden = {{15, 17}};
  EXPECT_EQ(rule_of(instance, {{0, 8}, 16}), LayoutRule::kForbidden);
  instance.forbidden.clear();
  instance.block_limit = 12;
  EXPECT_EQ(rule_of(instance, {{0, 8}, 16}), LayoutRule::kCrossesBlock);
}

TEST(ValidateLayout, CountsRoundedSizes) {
  Instance instance = two_buffers();
  instance.alignment = 16;
  EXPECT_EQ(rule_of(instance, {{0, 8}, 16}), LayoutRule::kMisaligned);
  EXPECT_FALSE(validate(instance, {{0, 16}, 32}));
  instance.buffers[0].size = 17;
  EXPECT_EQ(rule_of(instance, {{0, 16}, 32}), LayoutRule::kOverlap);
}

TEST(ValidateLayout, SaysWhoOverlapsWhom) {
  const auto found = validate(two_buffers(), {{0, 7}, 15});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->rule, LayoutRule::kOverlap);
  EXPECT_EQ(found->row, 1);
  EXPECT_EQ(found->other, 0);
  EXPECT_EQ(found->sentence,
            "buffer b at offset 7 to 15 overlaps buffer a at 0 to 8, which is live at time 1 too");
}

bool overlap_by_pairs(const Instance& instance, const Layout& layout) {
  for (std::size_t i = 0; i < layout.offsets.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const Buffer& a = instance.buffers[i];
      const Buffer& b = instance.buffers[j];
      if (a.begin >= b.end || b.begin >= a.end) continue;
      const Bytes low = std::max(layout.offsets[i], layout.offsets[j]);
      if (low < std::min(layout.offsets[i] + a.size, layout.offsets[j] + b.size)) return true;
    }
  }
  return false;
}

TEST(ValidateLayout, FindsAnOverlapExactlyWhenComparingAllPairsDoes) {
  int num_valid = 0;
  for (std::uint32_t seed = 0; seed < 5000; ++seed) {
    RandomInstance random(seed);
    const Instance instance = random.make({.num_buffers = 2 + random.below(12), .num_times = 12});
    Layout layout;
    for (const Buffer& buffer : instance.buffers) {
      layout.offsets.push_back(random.below(60));
      layout.height = std::max(layout.height, layout.offsets.back() + buffer.size);
    }
    const bool overlaps = overlap_by_pairs(instance, layout);
    num_valid += overlaps ? 0 : 1;
    ASSERT_EQ(validate(instance, layout).has_value(), overlaps) << "seed " << seed;
  }
  EXPECT_GT(num_valid, 100);
}

// Packers with one seeded bug each, made from a right layout.
using Mutant = void (*)(const Instance&, Layout&, RandomInstance&);

void shift_one_down(const Instance& instance, Layout& layout, RandomInstance& random) {
  const auto row = random.below(static_cast<int>(instance.buffers.size()));
  layout.offsets[row] = std::max<Bytes>(layout.offsets[row] - 1, 0);
}
void swap_two(const Instance& instance, Layout& layout, RandomInstance& random) {
  const int count = static_cast<int>(instance.buffers.size());
  std::swap(layout.offsets[random.below(count)], layout.offsets[random.below(count)]);
}
void forget_one(const Instance& instance, Layout& layout, RandomInstance& random) {
  layout.offsets[random.below(static_cast<int>(instance.buffers.size()))] = 0;
}
// As if the packer had read lifetimes as [begin, end - 1).
void end_lives_early(const Instance& instance, Layout& layout, RandomInstance&) {
  Instance shorter = instance;
  for (Buffer& buffer : shorter.buffers) buffer.end = std::max(buffer.begin, buffer.end - 1);
  layout = pack(shorter, {.work_limit = 100'000}).layout;
}

TEST(ValidateLayout, CatchesMutantPackers) {
  for (const Mutant mutant : {shift_one_down, swap_two, forget_one, end_lives_early}) {
    int num_wrong = 0;
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
      RandomInstance random(seed);
      const Instance instance = random.make({.num_buffers = 12, .num_times = 8});
      Layout layout = pack(instance, {.work_limit = 100'000}).layout;
      mutant(instance, layout, random);
      if (!overlap_by_pairs(instance, layout)) continue;
      ++num_wrong;
      ASSERT_TRUE(validate(instance, layout)) << "seed " << seed;
    }
    EXPECT_GT(num_wrong, 30);
  }
}

}  // namespace
}  // namespace tidemark
