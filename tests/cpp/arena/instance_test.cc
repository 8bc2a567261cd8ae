#include "tidemark/arena/instance.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <string>

namespace tidemark {
namespace {

std::string complaint(const Instance& instance) {
  try {
    check(instance);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(Instance, SizesAreRoundedUpToItsAlignment) {
  const Instance instance{.buffers = {{.end = 1, .size = 65}}, .alignment = 64};
  EXPECT_EQ(padded_size(instance, instance.buffers[0]), 128);
}

TEST(Instance, WithoutANameABufferIsCalledByItsRow) {
  const Instance instance{.buffers = {{.name = "conv"}, {}}};
  EXPECT_EQ(name_of(instance, 0), "conv");
  EXPECT_EQ(name_of(instance, 1), "#1");
}

TEST(Instance, EveryBrokenRuleNamesItsBuffer) {
  const Buffer fine{.end = 1, .size = 8};
  const auto with = [&](Buffer buffer) { return complaint({.buffers = {fine, buffer}}); };
  EXPECT_EQ(complaint({.buffers = {fine}}), "");
  EXPECT_NE(with({.begin = 2, .end = 1}).find("#1: its life ends at 1, before"), std::string::npos);
  EXPECT_NE(with({.begin = std::numeric_limits<Time>::min()}).find("#1: it lives from -92"),
            std::string::npos);
  EXPECT_NE(with({.end = Time{1} << 62}).find("between -2^62 and 2^62"), std::string::npos);
  EXPECT_NE(with({.size = -1}).find("#1: size is -1"), std::string::npos);
  EXPECT_NE(with({.alignment = 0}).find("#1: alignment is 0"), std::string::npos);
  EXPECT_NE(with({.offset = -8}).find("#1: fixed offset is -8"), std::string::npos);
  EXPECT_NE(with({.alignment = 8, .offset = 4}).find("4 is no multiple"), std::string::npos);
  EXPECT_NE(with({.size = Bytes{1} << 62}).find("below 2^62"), std::string::npos);
}

TEST(Instance, SizesMayNotSumToMoreThanOffsetsCanSay) {
  const Buffer huge{.end = 1, .size = (Bytes{1} << 61)};
  EXPECT_EQ(complaint({.buffers = {huge}}), "");
  EXPECT_NE(complaint({.buffers = {huge, huge}}).find("sum to 2^62"), std::string::npos);
}

TEST(Instance, ABlockHoldsEveryBuffer) {
  Instance instance{.buffers = {{.end = 1, .size = 8}}, .block_limit = 8};
  EXPECT_EQ(complaint(instance), "");
  instance.buffers[0].size = 9;
  EXPECT_NE(complaint(instance).find("above the block limit 8"), std::string::npos);
  instance.alignment = 3;
  EXPECT_NE(complaint(instance).find("no positive multiple of the alignment 3"), std::string::npos);
}

TEST(Instance, ForbiddenRangesBeginBeforeTheyEnd) {
  EXPECT_NE(complaint({.forbidden = {{8, 4}}}).find("[8, 4)"), std::string::npos);
}

}  // namespace
}  // namespace tidemark
