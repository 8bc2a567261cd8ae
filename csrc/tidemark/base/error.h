// Errors of the torch-free half: what is thrown, and the checks that throw it.
//
//   caller's mistake   TIDEMARK_CHECK_VALUE(condition, message parts...)  std::invalid_argument
//   not supported      throw NotSupported(...)                            says what to do instead
//   our bug            TIDEMARK_ASSERT(condition, message parts...)       std::logic_error
//
// A normal "no" (a budget nothing fits in) is a value and no error: see result.h.
//
//   TIDEMARK_CHECK_VALUE(budget > 0, "budget is ", budget, " bytes; it must be above 0");
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

#include "tidemark/base/export.h"

namespace tidemark {

// Something Tidemark cannot do, though it is no mistake to want it. The text names the op, the
// module or the setting, and what is done instead if told to.
class TIDEMARK_API NotSupported : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace internal {

// Returns the parts as one text, each printed with operator<<.
template <typename... Parts>
std::string concatenate(const Parts&... parts) {
  std::ostringstream text;
  static_cast<void>((text << ... << parts));
  return text.str();
}

[[noreturn]] TIDEMARK_API void throw_invalid_argument(const std::string& message);
[[noreturn]] TIDEMARK_API void throw_broken_invariant(const char* condition, const char* file,
                                                      int line, const std::string& message);

}  // namespace internal
}  // namespace tidemark

// Throws std::invalid_argument with the message parts joined, unless `condition` holds. The message
// says what was given, where, and what is allowed; it is only made when the check fails.
#define TIDEMARK_CHECK_VALUE(condition, ...)               \
  do {                                                     \
    if (!(condition)) [[unlikely]] {                       \
      ::tidemark::internal::throw_invalid_argument(        \
          ::tidemark::internal::concatenate(__VA_ARGS__)); \
    }                                                      \
  } while (false)

// Throws std::logic_error naming the condition and its place, unless it holds. Not for what a
// caller can cause. Stays in release builds: a plan that breaks its own rules must not run.
#define TIDEMARK_ASSERT(condition, ...)                                                    \
  do {                                                                                     \
    if (!(condition)) [[unlikely]] {                                                       \
      ::tidemark::internal::throw_broken_invariant(                                        \
          #condition, __FILE__, __LINE__, ::tidemark::internal::concatenate(__VA_ARGS__)); \
    }                                                                                      \
  } while (false)
