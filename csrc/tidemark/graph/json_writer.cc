#include "tidemark/graph/json_writer.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

namespace tidemark {
namespace {

bool is_plain(std::string_view text) noexcept {
  for (const char c : text) {
    if (c < 0x20 || c >= 0x7F || c == '"' || c == '\\') return false;
  }
  return true;
}

std::string escape(std::string_view text) {
  using nlohmann::json;
  return json(text).dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
}

}  // namespace

void JsonWriter::key(std::string_view name) {
  begin_item();
  out_.append("\"").append(name).append("\":");
  needs_comma_ = false;
}

void JsonWriter::new_line() { needs_line_ = true; }

void JsonWriter::write(std::int64_t number) {
  begin_item();
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out_.append(digits, end);
}

void JsonWriter::write(bool flag) {
  begin_item();
  out_.append(flag ? "true" : "false");
}

void JsonWriter::write(std::string_view text) {
  begin_item();
  if (is_plain(text)) {
    out_.append("\"").append(text).append("\"");
  } else {
    out_.append(escape(text));
  }
}

void JsonWriter::put_int(std::string_view name, std::int64_t number, std::int64_t missing) {
  if (number == missing) return;
  key(name);
  write(number);
}

void JsonWriter::put_flag(std::string_view name, bool flag) {
  if (!flag) return;
  key(name);
  write(true);
}

void JsonWriter::put_text(std::string_view name, std::string_view text) {
  if (text.empty()) return;
  key(name);
  write(text);
}

void JsonWriter::put_texts(std::string_view name, const std::vector<std::string>& texts) {
  if (texts.empty()) return;
  key(name);
  begin_array();
  for (const std::string& text : texts) write(std::string_view(text));
  end_array();
}

void JsonWriter::put_ints(std::string_view name, const std::vector<std::int32_t>& numbers) {
  if (numbers.empty()) return;
  key(name);
  begin_array();
  for (const std::int32_t number : numbers) write(std::int64_t{number});
  end_array();
}

std::string JsonWriter::take() {
  needs_comma_ = false;
  needs_line_ = false;
  return std::exchange(out_, {});
}

void JsonWriter::open(char bracket) {
  begin_item();
  out_.push_back(bracket);
  needs_comma_ = false;
}

void JsonWriter::close(char bracket) {
  if (needs_line_) out_.push_back('\n');
  needs_line_ = false;
  out_.push_back(bracket);
  needs_comma_ = true;
}

void JsonWriter::begin_item() {
  if (needs_comma_) out_.push_back(',');
  if (needs_line_) out_.push_back('\n');
  needs_comma_ = true;
  needs_line_ = false;
}

}  // namespace tidemark
