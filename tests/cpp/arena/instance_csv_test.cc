#include "tidemark/arena/instance_csv.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace tidemark {
namespace {

std::string complaint(const std::string& text) {
  try {
    instance_from_csv(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(InstanceCsv, ReadsColumnsInAnyOrderAndIgnoresOthers) {
  const Instance instance = instance_from_csv(
      "size,note,id,upper,lower,offset\r\n"
      "64,first,a,3,0,128\r\n"
      "\n"
      "32,,b,4,1,0");
  EXPECT_EQ(instance.buffers,
            (std::vector<Buffer>{{.begin = 0, .end = 3, .size = 64, .name = "a"},
                                 {.begin = 1, .end = 4, .size = 32, .name = "b"}}));
}

TEST(InstanceCsv, ReadsAlignmentsAndFixedOffsets) {
  const Instance instance =
      instance_from_csv("id,lower,upper,size,alignment,fixed\na,0,1,8,4,16\nb,0,1,8,,\n");
  EXPECT_EQ(instance.buffers[0].alignment, 4);
  EXPECT_EQ(instance.buffers[0].offset, 16);
  EXPECT_EQ(instance.buffers[1].alignment, 1);
  EXPECT_EQ(instance.buffers[1].offset, std::nullopt);
}

TEST(InstanceCsv, ErrorsNameLineAndColumn) {
  EXPECT_NE(complaint("").find("there is no column 'id'"), std::string::npos);
  EXPECT_NE(complaint("id,lower,upper\n").find("no column 'size'"), std::string::npos);
  EXPECT_NE(complaint("id,lower,upper,size\na,0,1\n").find("line 2: there are 3 cells under 4"),
            std::string::npos);
  EXPECT_NE(
      complaint("id,lower,upper,size\na,0,1,8\nb,0,x,8\n").find("line 3, column 'upper': 'x'"),
      std::string::npos);
  EXPECT_NE(complaint("id,lower,upper,size\na,3,1,8\n").find("before it begins"),
            std::string::npos);
}

TEST(InstanceCsv, WhatIsWrittenCanBeReadAgain) {
  Instance instance{.buffers = {{.begin = 0, .end = 3, .size = 64, .name = "a, b"},
                                {.begin = -1, .end = 4, .size = 32, .alignment = 4, .offset = 64}}};
  const std::string text = to_csv(instance, {.offsets = {0, 64}, .height = 96});
  EXPECT_EQ(text,
            "id,lower,upper,size,alignment,fixed,offset\n"
            "a; b,0,3,64,1,,0\n"
            "1,-1,4,32,4,64,64\n");
  instance.buffers[0].name = "a; b";
  instance.buffers[1].name = "1";
  EXPECT_EQ(instance_from_csv(text), instance);
}

}  // namespace
}  // namespace tidemark
