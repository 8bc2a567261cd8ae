#include "tidemark/base/record_map.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "base/address.h"

namespace tidemark {
namespace {

using testing::address;

TEST(RecordMapTest, FindsNothingAtNull) {
  RecordMap<int> map;
  map.insert(address(1), 7);
  EXPECT_EQ(map.find(nullptr), nullptr);
  EXPECT_EQ(map.take(nullptr), nullptr);
}

TEST(RecordMapTest, FindsNothingWhereNothingIs) {
  RecordMap<int> map;
  EXPECT_EQ(map.find(address(1)), nullptr);
  EXPECT_EQ(map.take(address(1)), nullptr);
  map.insert(address(1), 7);
  for (std::uintptr_t number = 2; number < 500; ++number) {
    EXPECT_EQ(map.find(address(number)), nullptr);
    EXPECT_EQ(map.take(address(number)), nullptr);
  }
  EXPECT_EQ(*map.find(address(1)), 7);
}

TEST(RecordMapTest, TheNextRecordTakesThePlaceOfTheLastToGo) {
  RecordMap<int> map;
  map.insert(address(1), 1);
  map.insert(address(2), 2);
  const int* const place = map.find(address(1));
  EXPECT_EQ(*map.take(address(1)), 1);
  map.insert(address(3), 3);
  EXPECT_EQ(map.find(address(3)), place);
  EXPECT_EQ(*map.find(address(2)), 2);
}

TEST(RecordMapTest, AgreesWithAStandardMapUnderRandomUse) {
  std::mt19937 random(7);
  RecordMap<int> map;
  std::map<const void*, int> expected;
  for (int i = 0; i < 20000; ++i) {
    const void* key = address(1 + random() % 96);
    if (expected.count(key) == 0) {
      map.insert(key, i);
      expected[key] = i;
    } else {
      EXPECT_EQ(*map.take(key), expected.at(key));
      expected.erase(key);
    }
  }
  std::multiset<int> records;
  map.for_each([&](int record) { records.insert(record); });
  std::multiset<int> expected_records;
  for (const auto& [key, record] : expected) {
    EXPECT_EQ(*map.find(key), record);
    expected_records.insert(record);
  }
  EXPECT_EQ(records, expected_records);
}

}  // namespace
}  // namespace tidemark
