#include "tidemark/base/error.h"

#include <fmt/format.h>

#include <string_view>

namespace tidemark::internal {

void throw_invalid_argument(const std::string& message) { throw std::invalid_argument(message); }

void throw_broken_invariant(const char* condition, const char* file, int line,
                            const std::string& message) {
  std::string_view name = file;
  name.remove_prefix(name.find_last_of('/') + 1);  // npos + 1 is 0: a bare name stays as it is
  throw std::logic_error(
      fmt::format("a bug in Tidemark, please report it: {}:{}: {} does not hold{}{}", name, line,
                  condition, message.empty() ? "" : ": ", message));
}

}  // namespace tidemark::internal
