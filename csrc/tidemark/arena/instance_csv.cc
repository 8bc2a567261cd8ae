#include "tidemark/arena/instance_csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <optional>
#include <vector>

#include "tidemark/base/error.h"

namespace tidemark {
namespace {

enum Column : std::size_t { kId, kLower, kUpper, kSize, kAlignment, kFixed, kNumColumns };
constexpr std::array<std::string_view, kNumColumns> kNames = {"id",   "lower",     "upper",
                                                              "size", "alignment", "fixed"};

class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : text_(text) {}

  Instance read() {
    read_header();
    Instance instance;
    while (!text_.empty()) {
      const std::vector<std::string_view> cells = next_line();
      if (cells.size() == 1 && cells[0].empty()) continue;
      instance.buffers.push_back(read_buffer(cells));
    }
    return instance;
  }

 private:
  std::vector<std::string_view> next_line() {
    ++line_;
    const std::size_t end = text_.find('\n');
    std::string_view line = text_.substr(0, end);
    text_.remove_prefix(end == std::string_view::npos ? text_.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    std::vector<std::string_view> cells;
    for (;;) {
      const std::size_t comma = line.find(',');
      cells.push_back(line.substr(0, comma));
      if (comma == std::string_view::npos) return cells;
      line.remove_prefix(comma + 1);
    }
  }

  void read_header() {
    const std::vector<std::string_view> cells = next_line();
    num_cells_ = cells.size();
    for (std::size_t column = 0; column < kNumColumns; ++column) {
      for (std::size_t i = 0; i < cells.size(); ++i) {
        if (cells[i] == kNames[column]) place_[column] = i;
      }
      TIDEMARK_CHECK_VALUE(place_[column] || column >= kAlignment, "line 1: there is no column '",
                           kNames[column], "'; the header is id,lower,upper,size");
    }
  }

  Buffer read_buffer(const std::vector<std::string_view>& cells) const {
    TIDEMARK_CHECK_VALUE(cells.size() == num_cells_, "line ", line_, ": there are ", cells.size(),
                         " cells under ", num_cells_, " columns");
    Buffer buffer;
    buffer.name = cell_of(cells, kId);
    buffer.begin = number(cells, kLower);
    buffer.end = number(cells, kUpper);
    buffer.size = number(cells, kSize);
    if (!cell_of(cells, kAlignment).empty()) buffer.alignment = number(cells, kAlignment);
    if (!cell_of(cells, kFixed).empty()) buffer.offset = number(cells, kFixed);
    return buffer;
  }

  // "" where there is no such column.
  std::string_view cell_of(const std::vector<std::string_view>& cells, Column column) const {
    const std::optional<std::size_t> place = place_[column];
    return place ? cells[*place] : std::string_view();
  }

  std::int64_t number(const std::vector<std::string_view>& cells, Column column) const {
    const std::string_view cell = cell_of(cells, column);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    TIDEMARK_CHECK_VALUE(error == std::errc() && end == cell.data() + cell.size(), "line ", line_,
                         ", column '", kNames[column], "': '", cell, "' is no 64-bit integer");
    return value;
  }

  std::string_view text_;
  std::int64_t line_ = 0;
  std::size_t num_cells_ = 0;
  std::array<std::optional<std::size_t>, kNumColumns> place_;
};

std::string cell_for(std::string name, std::size_t row) {
  if (name.empty()) return std::to_string(row);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == ',' || c == '\n' || c == '\r'; }, ';');
  return name;
}

}  // namespace

Instance instance_from_csv(std::string_view text) {
  Instance instance = CsvReader(text).read();
  check(instance);
  return instance;
}

std::string to_csv(const Instance& instance, const Layout& layout) {
  TIDEMARK_CHECK_VALUE(layout.offsets.size() == instance.buffers.size(), "a layout of ",
                       layout.offsets.size(), " offsets for ", instance.buffers.size(),
                       " buffers");
  std::string text = "id,lower,upper,size,alignment,fixed,offset\n";
  for (std::size_t i = 0; i < instance.buffers.size(); ++i) {
    const Buffer& buffer = instance.buffers[i];
    fmt::format_to(std::back_inserter(text), "{},{},{},{},{},{},{}\n", cell_for(buffer.name, i),
                   buffer.begin, buffer.end, buffer.size, buffer.alignment,
                   buffer.offset ? std::to_string(*buffer.offset) : "", layout.offsets[i]);
  }
  return text;
}

}  // namespace tidemark
