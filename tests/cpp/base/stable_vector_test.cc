#include "tidemark/base/stable_vector.h"

#include <gtest/gtest.h>

#include <memory>
#include <memory_resource>

namespace tidemark {
namespace {

TEST(StableVectorTest, ElementsStayWhereTheyAre) {
  std::pmr::monotonic_buffer_resource memory;
  StableVector<int> numbers(&memory);
  int* first = &numbers.emplace_back(0);
  for (int i = 1; i < 1000; ++i) numbers.emplace_back(i);
  EXPECT_EQ(first, &numbers[0]);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(numbers[i], i);
}

TEST(StableVectorTest, DestroysWhatItHolds) {
  std::pmr::monotonic_buffer_resource memory;
  auto witness = std::make_shared<int>(0);
  {
    StableVector<std::shared_ptr<int>> pointers(&memory);
    for (int i = 0; i < 100; ++i) pointers.emplace_back(witness);
    EXPECT_EQ(witness.use_count(), 101);
  }
  EXPECT_EQ(witness.use_count(), 1);
}

TEST(StableVectorTest, VisitsWhatIsAddedMeanwhile) {
  std::pmr::monotonic_buffer_resource memory;
  StableVector<int> numbers(&memory);
  numbers.emplace_back(40);
  int count = 0;
  numbers.for_each([&](int number) {
    ++count;
    if (number < 100) numbers.emplace_back(number + 1);
  });
  EXPECT_EQ(count, 61);
}

}  // namespace
}  // namespace tidemark
