#include "tidemark/arena/scarce_room.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "arena/step_traces.h"

namespace tidemark {
namespace {

constexpr Bytes kAlignment = 64;

// Per time of a step that many like it preceded: what lives of its blocks and theirs, inside the
// arena or outside it.
std::vector<Bytes> live_bytes(const StepTrace& trace, const AddressPlan* outside = nullptr) {
  std::vector<Bytes> live(static_cast<std::size_t>(trace.length));
  for (std::size_t i = 0; i < trace.blocks.size(); ++i) {
    const TracedBlock& block = trace.blocks[i];
    if (outside != nullptr && outside->slots[i].offset != kNoOffset) continue;
    for (Time time = block.begin; time < block.end.value_or(trace.length); ++time)
      live[time] += block.bytes;
    for (Time time = 0; time < block.end_of_last.value_or(0); ++time) live[time] += block.bytes;
  }
  return live;
}

Bytes most(const std::vector<Bytes>& bytes) {
  return *std::max_element(bytes.begin(), bytes.end());
}

std::vector<std::size_t> left_out(const AddressPlan& plan) {
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < plan.slots.size(); ++i)
    if (plan.slots[i].offset == kNoOffset) result.push_back(i);
  return result;
}

StepTrace with_live_bytes(StepTrace trace) {
  trace.live_bytes = live_bytes(trace);
  return trace;
}

TEST(ScarceRoom, LeavesOutSmallBlocksThatAlignmentMakesLarger) {
  const StepTrace trace = with_live_bytes({.length = 4,
                                           .blocks = {{.bytes = 8, .begin = 0, .end = 3},
                                                      {.bytes = 4096, .begin = 1, .end = 3},
                                                      {.bytes = 64, .begin = 2, .end = 3}}});
  const auto plan = plan_addresses_within(trace, kAlignment, most(trace.live_bytes));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->height(), 4096 + 64);
  EXPECT_EQ(left_out(*plan), (std::vector<std::size_t>{0}));
  EXPECT_EQ(growth_outside(trace, *plan), 0);  // beyond the eight bytes of time 0
}

TEST(ScarceRoom, LeavesOutLargeBlocksThatAlignmentMakesTooLargeTogether) {
  const StepTrace trace = with_live_bytes({.length = 4,
                                           .blocks = {{.bytes = 65536, .begin = 0, .end = 3},
                                                      {.bytes = 4097, .begin = 1, .end = 3},
                                                      {.bytes = 8190, .begin = 2, .end = 3}}});
  const auto plan = plan_addresses_within(trace, kAlignment, most(trace.live_bytes));
  ASSERT_TRUE(plan);
  EXPECT_EQ(left_out(*plan), (std::vector<std::size_t>{1, 2}));
  // Where the limit allows for it, only the one that gains most.
  const auto roomier = plan_addresses_within(trace, kAlignment, most(trace.live_bytes) + 2);
  ASSERT_TRUE(roomier);
  EXPECT_EQ(left_out(*roomier), (std::vector<std::size_t>{1}));
}

TEST(ScarceRoom, FindsNothingWhereTheStepItselfDoesNotFitOrLittleWouldBeLeft) {
  const StepTrace even = with_live_bytes({.length = 2, .blocks = {{.bytes = 64, .end = 1}}});
  EXPECT_TRUE(plan_addresses_within(even, kAlignment, 64));
  EXPECT_FALSE(plan_addresses_within(even, kAlignment, 63));
  StepTrace odd{.length = 12, .blocks = {}};
  for (Time i = 0; i < 10; ++i) odd.blocks.push_back({.bytes = 1025, .begin = i, .end = 11});
  odd = with_live_bytes(std::move(odd));
  EXPECT_FALSE(plan_addresses_within(odd, kAlignment, most(odd.live_bytes)));
  EXPECT_TRUE(plan_addresses_within(odd, kAlignment, 10 * Bytes{1088}));
}

// Everything fits, nothing overlaps, and what is left out is little, in steps that leave an output
// to the next one and in steps that do not.
TEST(ScarceRoom, IsEnoughForManySteps) {
  int num_found = 0;
  int num_gained = 0;  // of those, that did not fit as a whole
  for (std::uint32_t seed = 0; seed < 12; ++seed) {
    StepTrace trace = testing::trace_with_output(300, seed);
    if (seed % 2 == 0)
      trace.blocks.erase(std::find_if(trace.blocks.begin(), trace.blocks.end(),
                                      [](const auto& b) { return !b.end; }));
    trace = with_live_bytes(std::move(trace));
    const Bytes limit = most(trace.live_bytes) * 20001 / 20000;
    const PackOptions options{.work_limit = 10'000'000};
    const AddressPlan whole = trace.has_overlaps()
                                  ? plan_addresses_of_two(trace, kAlignment, options)
                                  : plan_addresses(trace, kAlignment, options);
    const auto plan = plan_addresses_within(trace, kAlignment, limit, options);
    if (!plan) continue;
    ++num_found;
    num_gained += whole.height() + most(live_bytes(trace, &whole)) > limit;
    EXPECT_LE(plan->height() + most(live_bytes(trace, &*plan)), limit) << seed;
    EXPECT_EQ(testing::overlap_in(trace, *plan), "") << seed;
    EXPECT_EQ(plan->num_steps, seed % 2 == 0 ? 1 : 2);
    EXPECT_LT(left_out(*plan).size(), plan->slots.size() / 2) << seed;
  }
  EXPECT_GE(num_found, 8);
  EXPECT_GE(num_gained, 5);
}

}  // namespace
}  // namespace tidemark
