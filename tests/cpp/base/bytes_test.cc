#include "tidemark/base/bytes.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

namespace tidemark {
namespace {

constexpr Bytes kMost = std::numeric_limits<Bytes>::max();

std::string refusal(std::string_view text) {
  try {
    parse_bytes(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ParseBytes, ReadsBinaryUnitsAsPowersOf1024) {
  EXPECT_EQ(parse_bytes("6 GiB"), gib(6));
  EXPECT_EQ(parse_bytes("512 MiB"), mib(512));
  EXPECT_EQ(parse_bytes("3KiB"), kib(3));
  EXPECT_EQ(parse_bytes("1 TiB"), gib(1024));
}

TEST(ParseBytes, ReadsDecimalUnitsAsPowersOf1000) {
  EXPECT_EQ(parse_bytes("1.5GB"), 1'500'000'000);
  EXPECT_EQ(parse_bytes("6 GB"), 6'000'000'000);
  EXPECT_EQ(parse_bytes("2 MB"), 2'000'000);
  EXPECT_EQ(parse_bytes("7 KB"), 7'000);
  EXPECT_EQ(parse_bytes("1 TB"), 1'000'000'000'000);
}

TEST(ParseBytes, ReadsABareNumberAsBytes) {
  EXPECT_EQ(parse_bytes("4096"), 4096);
  EXPECT_EQ(parse_bytes("4096 B"), 4096);
  EXPECT_EQ(parse_bytes("0"), 0);
}

TEST(ParseBytes, IgnoresCaseAndBlanksAround) {
  EXPECT_EQ(parse_bytes("  6 gib "), gib(6));
  EXPECT_EQ(parse_bytes("6GIB"), gib(6));
}

TEST(ParseBytes, RoundsFractionsOfAByteDown) {
  EXPECT_EQ(parse_bytes("0.3 KiB"), 307);
  EXPECT_EQ(parse_bytes(".5 KiB"), 512);
  EXPECT_EQ(parse_bytes("1. KiB"), 1024);
}

TEST(ParseBytes, KeepsEveryDigitOfLargeSizes) {
  EXPECT_EQ(parse_bytes("9223372036854775807"), kMost);
  EXPECT_EQ(parse_bytes("8388607.999 TiB"), 9223372035755264180);
}

TEST(ParseBytes, RefusesSizesAbove63Bits) {
  EXPECT_NE(refusal("9223372036854775808").find("above 2^63 - 1"), std::string::npos);
  EXPECT_NE(refusal("8388608 TiB").find("above 2^63 - 1"), std::string::npos);
  EXPECT_NE(refusal(std::string(400, '9')).find("above 2^63 - 1"), std::string::npos);
}

TEST(ParseBytes, NamesTheTextAndTheAcceptedFormsWhenItRefuses) {
  const std::string message = refusal("six GiB");
  EXPECT_NE(message.find("\"six GiB\""), std::string::npos) << message;
  EXPECT_NE(message.find("6 GiB"), std::string::npos) << message;
}

TEST(ParseBytes, RefusesWhatIsNotASize) {
  for (const char* text :
       {"", "  ", "GiB", ".", "1.2.3 GiB", "6 GiBs", "6 G", "1e9", "+6", "6 6"}) {
    EXPECT_THROW(parse_bytes(text), std::invalid_argument) << text;
  }
}

TEST(ParseBytes, RefusesNegativeSizesSharesAndFractionsWithoutUnit) {
  EXPECT_NE(refusal("-1").find("negative"), std::string::npos);
  EXPECT_NE(refusal("80%").find("share of the device"), std::string::npos);
  EXPECT_NE(refusal("0.5").find("no fraction"), std::string::npos);
}

TEST(FormatBytes, UsesTheLargestBinaryUnitThatKeepsItAboveOne) {
  EXPECT_EQ(format_bytes(12), "12 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.00 KiB");
  EXPECT_EQ(format_bytes(gib(1) + mib(512)), "1.50 GiB");
  EXPECT_EQ(format_bytes(gib(2048)), "2.00 TiB");
  EXPECT_EQ(format_bytes(-kib(2)), "-2.00 KiB");
}

TEST(FormatDuration, ShowsThreeSignificantDigits) {
  const std::pair<Nanoseconds, const char*> cases[] = {{0, "0 ns"},
                                                       {999, "999 ns"},
                                                       {1'000, "1.00 us"},
                                                       {12'340, "12.3 us"},
                                                       {999'499, "999 us"},
                                                       {100'000, "100 us"},
                                                       {999'600, "1.00 ms"},
                                                       {1'234'567, "1.23 ms"},
                                                       {61'000'000'000, "61.0 s"},
                                                       {2'000'000'000'000, "2000 s"}};
  for (const auto& [ns, text] : cases) EXPECT_EQ(format_duration(ns), text);
}

TEST(CheckedAdd, AddsWhatFitsAndThrowsOtherwise) {
  EXPECT_EQ(checked_add(gib(1), gib(2)), gib(3));
  EXPECT_EQ(checked_add(kMost, -1), kMost - 1);
  EXPECT_THROW(checked_add(kMost, 1), std::overflow_error);
  EXPECT_THROW(checked_add(std::numeric_limits<Bytes>::min(), -1), std::overflow_error);
}

}  // namespace
}  // namespace tidemark
