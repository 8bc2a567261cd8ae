#include "tidemark/graph/json_writer.h"

#include <gtest/gtest.h>

namespace tidemark {
namespace {

TEST(JsonWriter, PutsCommasBetweenItemsOnly) {
  JsonWriter out;
  out.begin_object();
  out.put_int("a", 1);
  out.put_ints("b", {1, 2});
  out.key("c");
  out.begin_array();
  out.end_array();
  out.end_object();
  EXPECT_EQ(out.take(), R"({"a":1,"b":[1,2],"c":[]})");
}

TEST(JsonWriter, LeavesDefaultsOut) {
  JsonWriter out;
  out.begin_object();
  out.put_int("a", 0);
  out.put_int("b", -1, -1);
  out.put_flag("c", false);
  out.put_text("d", "");
  out.put_ints("e", {});
  out.put_texts("f", {});
  out.end_object();
  EXPECT_EQ(out.take(), "{}");
}

TEST(JsonWriter, StartsALineWhereAsked) {
  JsonWriter out;
  out.begin_array();
  for (int i = 0; i < 2; ++i) {
    out.new_line();
    out.write(std::int64_t{i});
  }
  out.new_line();
  out.end_array();
  EXPECT_EQ(out.take(), "[\n0,\n1\n]");
}

TEST(JsonWriter, EscapesWhatIsNotPrintableAscii) {
  JsonWriter out;
  out.write(std::string_view("a\"\\\n\x01\xC3\xA9"));
  EXPECT_EQ(out.take(), R"("a\"\\\n\u0001\u00e9")");
}

TEST(JsonWriter, ReplacesBytesThatAreNoUtf8) {
  JsonWriter out;
  out.write(std::string_view("\xFF"));
  EXPECT_EQ(out.take(), R"("\ufffd")");
}

TEST(JsonWriter, IsEmptyAfterTake) {
  JsonWriter out;
  out.write(true);
  EXPECT_EQ(out.take(), "true");
  out.write(false);
  EXPECT_EQ(out.take(), "false");
}

}  // namespace
}  // namespace tidemark
