#include "tidemark/base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace tidemark {
namespace {

struct Missing {
  int bytes = 0;
  bool operator==(const Missing&) const = default;
};

using Answer = Result<std::string, Missing>;

TEST(Result, HoldsAValue) {
  Answer answer = std::string("plan");
  EXPECT_TRUE(answer);
  EXPECT_EQ(*answer, "plan");
  EXPECT_EQ(answer->size(), 4u);
  answer.value() += "s";
  EXPECT_EQ(std::move(answer).value(), "plans");
}

TEST(Result, HoldsAFailureWithItsReason) {
  const Answer answer = Missing{.bytes = 7};
  EXPECT_FALSE(answer.has_value());
  EXPECT_EQ(answer.failure().bytes, 7);
}

TEST(Result, ThrowsWhenTheOtherSideIsAskedFor) {
  const Answer yes = std::string("plan");
  const Answer no = Missing{};
  EXPECT_THROW(yes.failure(), std::logic_error);
  EXPECT_THROW(no.value(), std::logic_error);
}

TEST(Result, ComparesByValue) {
  EXPECT_EQ(Answer(std::string("a")), Answer(std::string("a")));
  EXPECT_NE(Answer(std::string("a")), Answer(Missing{}));
  EXPECT_NE(Answer(Missing{1}), Answer(Missing{2}));
}

TEST(Result, CarriesWhatCanOnlyBeMoved) {
  Result<std::unique_ptr<int>, Missing> answer = std::make_unique<int>(3);
  const std::unique_ptr<int> taken = *std::move(answer);
  EXPECT_EQ(*taken, 3);
}

}  // namespace
}  // namespace tidemark
