#include "tidemark/graph/device_profile.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace tidemark {
namespace {

TEST(DeviceProfile, TakesTheLongerOfArithmeticAndTraffic) {
  const DeviceProfile device{.flops_per_second = 1'000'000'000,
                             .half_flops_per_second = 2'000'000'000,
                             .bytes_per_second = 1'000'000'000,
                             .overhead_ns = 7,
                             .random_number_ps = 500};
  EXPECT_EQ(cost_of({.flops = 300, .bytes = 100}, device), 307);
  EXPECT_EQ(cost_of({.flops = 300, .bytes = 100}, device, 2), 157);
  EXPECT_EQ(cost_of({.flops = 10, .bytes = 100}, device), 107);
  EXPECT_EQ(cost_of({.random_numbers = 100}, device), 57);
}

TEST(DeviceProfile, GivesNoTimeThatOverflows) {
  const DeviceProfile slowest{.flops_per_second = 1,
                              .half_flops_per_second = 1,
                              .bytes_per_second = 1,
                              .overhead_ns = std::numeric_limits<Nanoseconds>::max()};
  EXPECT_EQ(cost_of({.flops = 1e15}, slowest), Nanoseconds{1} << 61);
}

TEST(DeviceProfile, ComesBackFromJsonAsItWas) {
  for (const DeviceProfile& profile : device_profiles())
    EXPECT_EQ(device_profile_from_json(to_json(profile)), profile);
}

TEST(DeviceProfile, SaysWhichFiguresWereNotMeasured) {
  EXPECT_NE(device_profile("h100").source.find("published"), std::string::npos);
}

TEST(DeviceProfile, RefusesUnknownNamesAndRatesThatAreNone) {
  EXPECT_THROW(static_cast<void>(device_profile("abacus")), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(device_profile_from_json("{}")), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(device_profile_from_json(
                   R"({"version":1,"flops_per_second":0,"half_flops_per_second":1,)"
                   R"("bytes_per_second":1})")),
               std::invalid_argument);
}

}  // namespace
}  // namespace tidemark
