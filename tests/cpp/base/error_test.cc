#include "tidemark/base/error.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace tidemark {
namespace {

template <typename Error, typename Function>
std::string message_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(CheckValue, JoinsTheMessagePartsIntoAnInvalidArgument) {
  const auto refuse = [] { TIDEMARK_CHECK_VALUE(2 < 1, "budget is ", -3, " bytes"); };
  EXPECT_EQ(message_of<std::invalid_argument>(refuse), "budget is -3 bytes");
}

TEST(CheckValue, DoesNotMakeTheMessageOfACheckThatHolds) {
  int made = 0;
  const auto message = [&made] { return ++made; };
  TIDEMARK_CHECK_VALUE(1 < 2, message());
  EXPECT_EQ(made, 0);
}

TEST(Assert, NamesTheConditionAndItsPlace) {
  const auto fail = [] { TIDEMARK_ASSERT(2 < 1, "the second of ", 2); };
  const std::string message = message_of<std::logic_error>(fail);
  EXPECT_NE(message.find("error_test.cc:"), std::string::npos) << message;
  EXPECT_NE(message.find("2 < 1 does not hold: the second of 2"), std::string::npos) << message;
}

TEST(Assert, NeedsNoMessage) {
  const auto fail = [] { TIDEMARK_ASSERT(2 < 1); };
  EXPECT_TRUE(message_of<std::logic_error>(fail).ends_with("2 < 1 does not hold"));
}

TEST(NotSupported, IsARuntimeErrorAndNoInvalidArgument) {
  const auto fail = [] { throw NotSupported("aten::sort is kept"); };
  EXPECT_EQ(message_of<std::runtime_error>(fail), "aten::sort is kept");
}

}  // namespace
}  // namespace tidemark
