// Whole JSON files in and out. What is inside them is graph_json.h's and plan_json.h's business.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "tidemark/base/export.h"

namespace tidemark {

// Returns the content of the file at `path`. `what` names it in errors: "step graph", "plan".
// Throws std::invalid_argument when the name does not end in ".json", std::runtime_error with the
// system's reason when the file cannot be read.
TIDEMARK_API std::string read_json_file(const std::string& path, std::string_view what);

// Returns what `parse` makes of the file's content. Throws as read_json_file does; what `parse`
// throws as std::invalid_argument names the file as well.
template <typename T>
T load_json_file(const std::string& path, std::string_view what, T (*parse)(std::string_view)) {
  const std::string json = read_json_file(path, what);
  try {
    return parse(json);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(path + ": " + error.what());
  }
}

// Writes `text` to `path`, which is replaced in one step: a reader sees the old file or the new
// one, never half of it. Throws as read_json_file does.
TIDEMARK_API void write_json_file(const std::string& path, std::string_view text,
                                  std::string_view what);

}  // namespace tidemark
