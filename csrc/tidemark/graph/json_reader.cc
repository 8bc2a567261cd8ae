#include "tidemark/graph/json_reader.h"

#include <charconv>
#include <limits>
#include <stdexcept>
#include <system_error>

namespace tidemark {
namespace {

bool is_space(char c) noexcept { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | (code >> 6));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

// Returns the length of the UTF-8 sequence at the start of `text`, 0 if it is not valid
// (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned lead = byte(0);
  const std::size_t length = lead < 0xC2   ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned next = byte(1);
  const bool is_wrong = (lead == 0xE0 && next < 0xA0) || (lead == 0xED && next > 0x9F) ||
                        (lead == 0xF0 && next < 0x90) || (lead == 0xF4 && next > 0x8F);
  return is_wrong ? 0 : length;
}

}  // namespace

JsonReader::JsonReader(std::string_view text, std::string_view what) : text_(text), what_(what) {}

std::int64_t JsonReader::read_int64() {
  const char first = peek();
  if (first != '-' && !is_digit(first)) fail_expected("an integer");
  const char* begin = text_.data() + at_;
  const char* end = text_.data() + text_.size();
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error == std::errc::result_out_of_range) fail("the number does not fit into 64 bits");
  if (error != std::errc{}) fail_expected("an integer");
  const bool is_fraction = stop != end && (*stop == '.' || *stop == 'e' || *stop == 'E');
  if (is_fraction) fail("expected an integer, found a fraction or an exponent");
  const char* digits = begin + (first == '-' ? 1 : 0);
  if (*digits == '0' && stop - digits > 1) fail("a number must not begin with 0");
  at_ += static_cast<std::size_t>(stop - begin);
  return number;
}

std::int32_t JsonReader::read_int32() {
  const std::int64_t number = read_int64();
  if (number < std::numeric_limits<std::int32_t>::min() ||
      number > std::numeric_limits<std::int32_t>::max()) {
    fail(std::to_string(number) + " does not fit into 32 bits");
  }
  return static_cast<std::int32_t>(number);
}

std::int64_t JsonReader::read_count() {
  const std::int64_t number = read_int64();
  if (number < 0) fail(std::to_string(number) + " is negative, expected >= 0");
  return number;
}

bool JsonReader::read_bool() {
  peek();
  for (const std::string_view word : {"true", "false"}) {
    if (text_.substr(at_, word.size()) == word) {
      at_ += word.size();
      return word == "true";
    }
  }
  fail_expected("true or false");
}

std::string JsonReader::read_string() {
  if (peek() != '"') fail_expected("a string");
  std::string scratch;
  const std::string_view raw = read_raw_string(scratch);
  return std::string(raw);
}

std::size_t JsonReader::read_choice(std::span<const std::string_view> names) {
  if (peek() != '"') fail_expected("a string");
  const std::size_t begin = at_;
  std::string scratch;
  const std::string_view found = read_raw_string(scratch);
  std::string allowed;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == found) return i;
    allowed += (i == 0 ? "" : ", ") + quoted(names[i]);
  }
  value_at_ = begin;
  fail(quoted(found) + " is not one of " + allowed);
}

void JsonReader::expect_end() {
  skip_space();
  value_at_ = at_;
  if (at_ != text_.size()) fail("expected the end of the document");
}

// Enters an array or object and returns whether it has items.
bool JsonReader::enter(char open, char close) {
  if (peek() != open) fail_expected(open == '[' ? "an array" : "an object");
  ++at_;
  if (peek() != close) return true;
  ++at_;
  return false;
}

// After an item: returns whether another follows.
bool JsonReader::next_item(char close) {
  const char c = peek();
  if (c != ',' && c != close) fail_expected(close == ']' ? "',' or ']'" : "',' or '}'");
  ++at_;
  return c == ',';
}

std::string_view JsonReader::read_key() {
  if (peek() != '"') fail_expected("a key");
  const std::size_t begin = at_ + 1;
  std::string scratch;
  const std::string_view key = read_raw_string(scratch);
  // Keys stay views into the text, for the path; no key of ours needs an escape.
  if (!scratch.empty()) fail("keys with escapes are not allowed");
  expect(':', "':'");
  value_at_ = begin - 1;
  return key;
}

// Returns the string at the cursor, as a view into the text unless it has escapes.
std::string_view JsonReader::read_raw_string(std::string& scratch) {
  std::size_t begin = ++at_;
  for (;;) {
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"') {
      const std::string_view tail = text_.substr(begin, at_++ - begin);
      return scratch.empty() ? tail : scratch.append(tail);
    }
    if (at_ >= text_.size()) fail("the string has no end");
    if (byte < 0x20) fail("the string has a control character; write it as an escape");
    if (c == '\\') {
      scratch.append(text_.substr(begin, at_ - begin));
      read_escape(scratch);
      begin = at_;
    } else if (byte < 0x80) {
      ++at_;
    } else {
      check_utf8_sequence();
    }
  }
}

void JsonReader::check_utf8_sequence() {
  const std::size_t length = utf8_length(text_.substr(at_));
  if (length == 0) fail("the string is not valid UTF-8");
  at_ += length;
}

void JsonReader::read_escape(std::string& out) {
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  const char c = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
  at_ += 2;
  if (c == 'u') return read_code_point(out);
  const std::size_t i = kLetters.find(c);
  if (c == '\0' || i == std::string_view::npos) fail("the string has an unknown escape");
  out.push_back(kMeanings[i]);
}

void JsonReader::read_code_point(std::string& out) {
  std::uint32_t code = read_hex4();
  if (code >= 0xDC00 && code < 0xE000) fail("the string has half a surrogate pair");
  if (code >= 0xD800 && code < 0xDC00) {
    if (text_.substr(at_, 2) != "\\u") fail("the string has half a surrogate pair");
    at_ += 2;
    const std::uint32_t low = read_hex4();
    if (low < 0xDC00 || low >= 0xE000) fail("the string has half a surrogate pair");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(out, code);
}

std::uint32_t JsonReader::read_hex4() {
  const std::string_view digits = at_ <= text_.size() ? text_.substr(at_, 4) : std::string_view();
  std::uint32_t code = 0;
  const auto [stop, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
  if (digits.size() != 4 || error != std::errc{} || stop != digits.data() + 4) {
    fail("an escape \\u needs four hexadecimal digits");
  }
  at_ += 4;
  return code;
}

void JsonReader::expect(char wanted, std::string_view name) {
  if (peek() != wanted) fail_expected(name);
  ++at_;
}

void JsonReader::skip_space() noexcept {
  while (at_ < text_.size() && is_space(text_[at_])) ++at_;
}

// Returns the next character that counts, '\0' at the end, and notes its place for errors.
char JsonReader::peek() {
  skip_space();
  value_at_ = at_;
  return at_ < text_.size() ? text_[at_] : '\0';
}

std::string JsonReader::path() const {
  std::string out;
  for (const Step& step : path_) {
    if (step.key.empty()) {
      out += "[" + std::to_string(step.index) + "]";
    } else {
      out.append(out.empty() ? "" : ".").append(step.key);
    }
  }
  return out;
}

void JsonReader::fail(const std::string& message) const {
  std::size_t line = 1;
  std::size_t column = 1;
  for (const char c : text_.substr(0, value_at_)) {
    column = c == '\n' ? 1 : column + 1;
    if (c == '\n') ++line;
  }
  const std::string place = path();
  throw std::invalid_argument(std::string(what_) + ": line " + std::to_string(line) + ", column " +
                              std::to_string(column) + (place.empty() ? "" : ", " + place) + ": " +
                              message);
}

void JsonReader::fail_expected(std::string_view wanted) {
  value_at_ = at_;
  std::string found = "the end of the text";
  if (at_ < text_.size()) {
    const char c = text_[at_];
    const bool is_printable = c >= 0x20 && c < 0x7F;
    found = is_printable ? std::string("'") + c + "'"
                         : "byte " + std::to_string(static_cast<unsigned char>(c));
  }
  fail("expected " + std::string(wanted) + ", found " + found);
}

void JsonReader::fail_key(std::string_view key, const std::string& allowed, bool is_twice) const {
  if (is_twice) fail("key " + quoted(key) + " appears twice");
  fail("unknown key " + quoted(key) + "; allowed are " + allowed);
}

}  // namespace tidemark
