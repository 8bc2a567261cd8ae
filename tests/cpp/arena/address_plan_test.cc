#include "tidemark/arena/address_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "arena/step_traces.h"

namespace tidemark {
namespace {

TEST(AddressPlan, ReusesTheAddressOfWhatDied) {
  const StepTrace trace{.length = 6,
                        .blocks = {{.bytes = 100, .begin = 1, .end = 3},
                                   {.bytes = 100, .begin = 2, .end = 5},
                                   {.bytes = 100, .begin = 4, .end = 5}}};
  const AddressPlan plan = plan_addresses(trace, 64);
  EXPECT_EQ(plan.height(), 256);  // two of them, padded
  EXPECT_EQ(plan.packing.lower_bound, 256);
  EXPECT_EQ(plan.slots[2].offset, plan.slots[0].offset);
  EXPECT_EQ(plan.slots[2].before, (std::vector<std::int32_t>{0}));
}

// A gradient: made late in a step, freed early in the next one.
TEST(AddressPlan, LetsOthersUseTheAddressOfAGradientBetweenItsTwoLives) {
  const StepTrace trace{
      .length = 7,
      .blocks = {{.bytes = 64, .begin = 2, .end = 3}, {.bytes = 64, .begin = 4, .end_of_last = 1}}};
  const AddressPlan plan = plan_addresses(trace, 64);
  EXPECT_EQ(plan.height(), 64);
  EXPECT_TRUE(plan.slots[1].outlives_step);
  EXPECT_EQ(plan.slots[0].before, (std::vector<std::int32_t>{1}));  // of the step before
  EXPECT_EQ(plan.slots[1].before, (std::vector<std::int32_t>{0}));
}

TEST(AddressPlan, GivesAnOffsetAcrossTheCutBeforeTheSearch) {
  // Something lives at every time, so that the circle must be cut through a block.
  const StepTrace trace{.length = 6,
                        .blocks = {{.bytes = 64, .begin = 1, .end = 4},
                                   {.bytes = 128, .begin = 3, .end_of_last = 2}}};
  const AddressPlan plan = plan_addresses(trace, 64);
  EXPECT_EQ(plan.height(), 192);
  EXPECT_EQ(plan.instance.buffers.size(), 3u);
}

TEST(AddressPlan, HasNoSlotForWhatLivesWhenItsLikeIsMade) {
  const StepTrace trace{.length = 6,
                        .blocks = {{.bytes = 64, .begin = 1, .end_of_last = 2},
                                   {.bytes = 64, .begin = 3},
                                   {.bytes = 64, .begin = 4, .end_of_last = 0}}};
  const AddressPlan plan = plan_addresses(trace, 64);
  EXPECT_EQ(plan.slots[0].offset, kNoOffset);
  EXPECT_EQ(plan.slots[1].offset, kNoOffset);
  EXPECT_EQ(plan.slots[2].offset, 0);  // gone before the next step began
  EXPECT_EQ(plan.height(), 64);
}

// The output of a step: the next one makes another before it lets the last one go.
TEST(AddressPlan, OfTwoStepsGivesWhatOverlapsItsLikeTwoAddresses) {
  const StepTrace trace{.length = 6,
                        .blocks = {{.bytes = 64, .begin = 1, .end_of_last = 2},
                                   {.bytes = 64, .begin = 3, .end = 4},
                                   {.bytes = 64, .begin = 4, .end_of_last = 0},
                                   {.bytes = 64, .begin = 4}}};
  ASSERT_TRUE(trace.has_overlaps());
  const AddressPlan plan = plan_addresses_of_two(trace, 64);
  EXPECT_EQ(plan.num_steps, 2);
  ASSERT_EQ(plan.slots.size(), 8u);
  EXPECT_NE(plan.slots[0].offset, plan.slots[4].offset);
  EXPECT_EQ(plan.slots[7].offset, kNoOffset);  // lives longer than that
  EXPECT_EQ(plan.height(), 128);
  EXPECT_EQ(plan.block_bytes(), 192);
  EXPECT_TRUE(plan.slots[2].outlives_step);
  EXPECT_FALSE(plan.slots[5].outlives_step);
}

TEST(AddressPlan, MirrorsTheSecondStepWhereTwoStepsPackBadly) {
  int num_fitting = 0;
  int num_mirrored = 0;
  for (std::uint32_t seed = 0; seed < 10; ++seed) {
    const StepTrace trace = testing::trace_with_output(400, seed);
    AddressPlan plan = plan_addresses_of_two(trace, 64, {.work_limit = 10'000'000});
    const Bytes height = plan.packing.lower_bound + plan.packing.lower_bound / 200;
    if (plan.height() <= height) {
      ++num_fitting;
      continue;
    }
    if (!mirror_second_step(plan, trace, height, {.work_limit = 20'000'000})) continue;
    ++num_mirrored;
    EXPECT_LE(plan.height(), height);
    EXPECT_EQ(testing::overlap_in(trace, plan), "") << seed;
  }
  EXPECT_LE(num_fitting, 2);
  EXPECT_EQ(num_fitting + num_mirrored, 10);
}

TEST(AddressPlan, StaysAsItIsWhereNoMirrorImageFits) {
  const StepTrace trace = testing::trace_with_output(400, 3);
  AddressPlan plan = plan_addresses_of_two(trace, 64, {.work_limit = 1'000'000});
  const AddressPlan before = plan;
  EXPECT_FALSE(mirror_second_step(plan, trace, plan.packing.lower_bound - 64));
  EXPECT_FALSE(mirror_second_step(plan, trace, 64));
  EXPECT_EQ(plan.packing, before.packing);
  EXPECT_EQ(plan.instance, before.instance);
}

TEST(AddressPlan, OfNothingIsEmpty) {
  const AddressPlan plan = plan_addresses({.length = 2, .blocks = {}}, 64);
  EXPECT_EQ(plan.height(), 0);
  EXPECT_TRUE(plan.slots.empty());
}

TEST(AddressPlan, RefusesTimesOutsideTheStep) {
  EXPECT_THROW(plan_addresses({.length = 2, .blocks = {{.bytes = 1, .begin = 2}}}, 64),
               std::invalid_argument);
  EXPECT_THROW(plan_addresses({.length = 3, .blocks = {{.bytes = 1, .begin = 2, .end = 1}}}, 64),
               std::invalid_argument);
}

}  // namespace
}  // namespace tidemark
