#include "tidemark/base/pointer_map.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <unordered_map>

#include "base/address.h"

namespace tidemark {
namespace {

using testing::address;

TEST(PointerMapTest, FindsNothingWhenEmpty) {
  PointerMap<int> map;
  EXPECT_EQ(map.find(address(1)), nullptr);
  EXPECT_FALSE(map.take(address(1)));
  EXPECT_EQ(map.size(), 0u);
}

TEST(PointerMapTest, AssignsAgain) {
  PointerMap<int> map;
  map[address(1)] = 7;
  map[address(1)] = 8;
  EXPECT_EQ(*map.find(address(1)), 8);
  EXPECT_EQ(map.size(), 1u);
}

TEST(PointerMapTest, KeepsItsEntriesWhenRoomIsMade) {
  PointerMap<int> map;
  for (int i = 1; i <= 20; ++i) map[address(i)] = i;
  map.reserve(1000);
  EXPECT_EQ(map.size(), 20u);
  for (int i = 1; i <= 20; ++i) EXPECT_EQ(*map.find(address(i)), i);
  int* const first = map.find(address(1));
  for (int i = 21; i <= 1000; ++i) map[address(i)] = i;
  EXPECT_EQ(map.find(address(1)), first);  // it did not grow again
}

// Free slots have no other key than nullptr.
TEST(PointerMapTest, HasNothingAtNull) {
  PointerMap<int> map;
  map[address(1)] = 7;
  EXPECT_EQ(map.find(nullptr), nullptr);
  EXPECT_FALSE(map.take(nullptr));
  EXPECT_EQ(map.size(), 1u);
}

// Few addresses and many operations: probe runs form, wrap around and are cut by taking.
TEST(PointerMapTest, AgreesWithAStandardMapUnderRandomUse) {
  std::mt19937 random(7);
  PointerMap<int> map;
  std::unordered_map<const void*, int> expected;
  for (int i = 0; i < 20000; ++i) {
    const void* key = address(1 + random() % 96);
    if (random() % 2 == 0) {
      map[key] = i;
      expected[key] = i;
    } else {
      const auto known = expected.extract(key);
      EXPECT_EQ(map.take(key), known ? std::optional(known.mapped()) : std::nullopt);
    }
    ASSERT_EQ(map.size(), expected.size());
  }
  for (std::uintptr_t number = 1; number <= 96; ++number) {
    const auto it = expected.find(address(number));
    const int* found = map.find(address(number));
    ASSERT_EQ(found != nullptr, it != expected.end());
    if (found != nullptr) {
      EXPECT_EQ(*found, it->second);
    }
  }
}

}  // namespace
}  // namespace tidemark
