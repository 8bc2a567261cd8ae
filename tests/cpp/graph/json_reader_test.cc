#include "tidemark/graph/json_reader.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace tidemark {
namespace {

struct Pair {
  std::int64_t left = 0;
  std::string right;
};

constexpr Field<Pair> kPairFields[] = {
    {"left", [](JsonReader& in, Pair& p) { p.left = in.read_int64(); }},
    {"right", [](JsonReader& in, Pair& p) { p.right = in.read_string(); }},
};

Pair read_pair(std::string_view text) {
  JsonReader in(text, "pair");
  Pair pair;
  in.read_object<Pair>(kPairFields, pair);
  in.expect_end();
  return pair;
}

std::string complaint_about(std::string_view text) {
  try {
    read_pair(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

std::string read_text(const std::string& json) {
  return read_pair("{\"right\":" + json + "}").right;
}

TEST(JsonReader, ReadsKeysInAnyOrderAndWithAnySpace) {
  const Pair pair = read_pair(" {\t\"right\" : \"b\" ,\r\n\"left\":-12 } \n");
  EXPECT_EQ(pair.left, -12);
  EXPECT_EQ(pair.right, "b");
}

TEST(JsonReader, NamesLineColumnPathAndWhatItFound) {
  EXPECT_EQ(complaint_about("{\n  \"left\": x}"),
            "pair: line 2, column 11, left: expected an integer, found 'x'");
}

TEST(JsonReader, RefusesAKeyThatAppearsTwice) {
  EXPECT_EQ(complaint_about("{\"left\":1,\"left\":1}"),
            "pair: line 1, column 11: key \"left\" appears twice");
}

TEST(JsonReader, NamesTheAllowedKeysOfAnUnknownOne) {
  EXPECT_EQ(complaint_about("{\"lefd\":1}"),
            "pair: line 1, column 2: unknown key \"lefd\"; allowed are left, right");
}

TEST(JsonReader, RefusesNumbersThatAreNoInteger) {
  for (const char* number : {"1.0", "1e3", "01", "-", "+1", "0x1", "NaN", "null", "true", "\"1\"",
                             "9223372036854775808", "-9223372036854775809"}) {
    EXPECT_NE(complaint_about("{\"left\":" + std::string(number) + "}"), "") << number;
  }
}

TEST(JsonReader, ReadsTheLimitsOf64Bits) {
  EXPECT_EQ(read_pair("{\"left\":9223372036854775807}").left, INT64_MAX);
  EXPECT_EQ(read_pair("{\"left\":-9223372036854775808}").left, INT64_MIN);
}

TEST(JsonReader, DecodesEscapes) {
  EXPECT_EQ(read_text(R"("a\"\\\/\b\f\n\r\tz")"), "a\"\\/\b\f\n\r\tz");
  EXPECT_EQ(read_text(R"("\u0041\u00e9\u20ac\ud83d\ude00")"),
            "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
}

TEST(JsonReader, RefusesBrokenEscapesAndHalfSurrogates) {
  for (const char* text : {R"("\x")", R"("\u12")", R"("\u12g4")", R"("\ud83d")", R"("\ude00")",
                           R"("\ud83dA")", R"("\ud83dx")", R"("\)"}) {
    EXPECT_NE(complaint_about("{\"right\":" + std::string(text) + "}"), "") << text;
  }
}

TEST(JsonReader, RefusesTextThatIsNotUtf8) {
  EXPECT_EQ(read_text("\"\xC3\xA9\""), "\xC3\xA9");
  for (const char* text : {"\"\xC3\"", "\"\xFF\"", "\"\xC0\x80\"", "\"\xED\xA0\x80\"",
                           "\"\xF5\x80\x80\x80\"", "\"\xE2\x82\"", "\"\x80\""}) {
    EXPECT_NE(complaint_about("{\"right\":" + std::string(text) + "}"), "");
  }
}

TEST(JsonReader, RefusesControlCharactersInText) {
  EXPECT_NE(complaint_about("{\"right\":\"a\nb\"}"), "");
  EXPECT_NE(complaint_about(std::string_view("{\"right\":\"a\0b\"}", 15)), "");
}

TEST(JsonReader, RefusesWhatFollowsTheDocument) {
  EXPECT_NE(complaint_about("{}{}"), "");
  EXPECT_NE(complaint_about("{},"), "");
  EXPECT_EQ(complaint_about("{} \n"), "");
}

TEST(JsonReader, RefusesTrailingAndMissingCommas) {
  EXPECT_NE(complaint_about("{\"left\":1,}"), "");
  EXPECT_NE(complaint_about("{\"left\":1 \"right\":\"\"}"), "");
  EXPECT_NE(complaint_about("{,}"), "");
}

TEST(JsonReader, RefusesDeepNestingWithoutRecursion) {
  EXPECT_NE(complaint_about("{\"left\":" + std::string(1000000, '[')), "");
}

}  // namespace
}  // namespace tidemark
