#include "tidemark/graph/json_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace tidemark {
namespace {

void check_name(const std::string& path, std::string_view what) {
  constexpr std::string_view kSuffix = ".json";
  if (path.size() > kSuffix.size() && path.ends_with(kSuffix)) return;
  throw std::invalid_argument(std::string(what) + " file '" + path +
                              "': the name must end in .json");
}

[[noreturn]] void fail_io(std::string_view verb, const std::string& path, std::string_view what) {
  const std::string reason = std::error_code(errno, std::generic_category()).message();
  throw std::runtime_error("cannot " + std::string(verb) + " the " + std::string(what) + " '" +
                           path + "': " + reason);
}

}  // namespace

std::string read_json_file(const std::string& path, std::string_view what) {
  check_name(path, what);
  std::ifstream file(path, std::ios::binary);
  if (!file) fail_io("open", path, what);
  std::ostringstream content;
  content << file.rdbuf();
  // An empty file fails the insertion, not the reading; the parser says what is missing.
  if (file.bad()) fail_io("read", path, what);
  return std::move(content).str();
}

void write_json_file(const std::string& path, std::string_view text, std::string_view what) {
  check_name(path, what);
  const std::string draft = path + ".tmp" + std::to_string(::getpid());
  std::ofstream file(draft, std::ios::binary | std::ios::trunc);
  if (!file) fail_io("create", draft, what);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file || std::rename(draft.c_str(), path.c_str()) != 0) {
    const int reason = errno;
    std::remove(draft.c_str());
    errno = reason;
    fail_io("write", path, what);
  }
}

}  // namespace tidemark
