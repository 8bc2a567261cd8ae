// JsonReader: reads one JSON document front to back, straight into structs.
//
// Strict on purpose: keys that are not expected, keys that appear twice, fractions, numbers out of
// range, invalid UTF-8 and anything after the document are errors. Nothing recurses on the input
// and nothing is allocated on its word, so no input makes it crash. Every error is a
// std::invalid_argument that says line, column, JSON path and what was expected:
//
//   step graph: line 12, column 40, events[9].inputs[1]: expected an integer, found '"'
//
// Formats are tables of fields, one per key:
//
//   constexpr Field<Interval> kFields[] = {
//       {"begin", [](JsonReader& in, Interval& i) { i.begin = in.read_int32(); }}, ...};
//   in.read_object<Interval>(kFields, interval);
//
// Does not own the text. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidemark/base/export.h"

namespace tidemark {

class JsonReader;

// One key of an object and what reads its value into a T.
template <typename T>
struct Field {
  std::string_view key;
  void (*read)(JsonReader& in, T& out);
};

class TIDEMARK_API JsonReader {
 public:
  // `what` names the document in errors: "step graph", "plan".
  JsonReader(std::string_view text, std::string_view what);

  // Each reads the next value and throws when it is of another type or out of range.
  std::int64_t read_int64();
  std::int32_t read_int32();
  std::int64_t read_count();  // an int64 >= 0
  bool read_bool();
  std::string read_string();

  // Reads an array; `read_item()` is called once per item and reads it.
  template <typename ReadItem>
  void read_array(ReadItem read_item);

  // Reads an object: the field of every key that is there. REQUIRES: fields.size() <= 64.
  template <typename T>
  void read_object(std::span<const Field<T>> fields, T& out);

  // Reads one of `names` and returns its index.
  std::size_t read_choice(std::span<const std::string_view> names);

  // Throws unless only white space is left.
  void expect_end();

  // Throws std::invalid_argument for the value read last: `message` after its place.
  [[noreturn]] void fail(const std::string& message) const;

 private:
  struct Step {  // of the path: a key, or an index where the key is empty
    std::string_view key;
    std::size_t index = 0;
  };

  bool enter(char open, char close);
  bool next_item(char close);
  std::string_view read_key();
  std::string_view read_raw_string(std::string& scratch);
  void read_escape(std::string& out);
  std::uint32_t read_hex4();
  void read_code_point(std::string& out);
  void check_utf8_sequence();
  void expect(char wanted, std::string_view name);
  void skip_space() noexcept;
  char peek();
  std::string path() const;
  [[noreturn]] void fail_expected(std::string_view wanted);
  [[noreturn]] void fail_key(std::string_view key, const std::string& allowed, bool is_twice) const;

  std::string_view text_;
  std::string_view what_;
  std::size_t at_ = 0;
  std::size_t value_at_ = 0;  // where the value read last begins, for errors
  std::vector<Step> path_;
};

template <typename ReadItem>
void JsonReader::read_array(ReadItem read_item) {
  if (!enter('[', ']')) return;
  path_.push_back({});
  do {
    read_item();
    ++path_.back().index;
  } while (next_item(']'));
  path_.pop_back();
}

template <typename T>
void JsonReader::read_object(std::span<const Field<T>> fields, T& out) {
  if (!enter('{', '}')) return;
  std::uint64_t seen = 0;
  std::size_t guess = 0;  // writers keep the order of the table
  do {
    const std::string_view key = read_key();
    std::size_t i = guess;
    while (i < fields.size() && fields[i].key != key) ++i;
    for (std::size_t j = 0; i == fields.size() && j < guess; ++j) {
      if (fields[j].key == key) i = j;
    }
    const bool is_twice = i < fields.size() && ((seen >> i) & 1) != 0;
    if (i == fields.size() || is_twice) {
      std::string allowed;
      for (const Field<T>& field : fields) {
        allowed.append(allowed.empty() ? "" : ", ").append(field.key);
      }
      fail_key(key, allowed, is_twice);
    }
    seen |= std::uint64_t{1} << i;
    guess = i + 1;
    path_.push_back({key});
    fields[i].read(*this, out);
    path_.pop_back();
  } while (next_item('}'));
}

}  // namespace tidemark
