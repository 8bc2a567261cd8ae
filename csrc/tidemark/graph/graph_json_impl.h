// Pieces of the graph format that plans contain too.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tidemark/graph/graph.h"
#include "tidemark/graph/json_reader.h"
#include "tidemark/graph/json_writer.h"

namespace tidemark {

void write_entry(JsonWriter& out, const Entry& entry);
void read_entry(JsonReader& in, Entry& entry);

// Writes an array with one item per line; `write(out, item)` writes one.
template <typename T, typename WriteItem>
void write_lines(JsonWriter& out, std::string_view key, const std::vector<T>& items,
                 WriteItem write) {
  out.new_line();
  out.key(key);
  out.begin_array();
  for (const T& item : items) {
    out.new_line();
    write(out, item);
  }
  out.new_line();
  out.end_array();
}

// Reads "version" and refuses any but `known`.
void read_version(JsonReader& in, int known, int& version);

std::vector<std::int32_t> read_ints(JsonReader& in);
std::vector<std::string> read_texts(JsonReader& in);

// Reads an index or number >= 0.
std::int32_t read_index(JsonReader& in);

// Reads an array of exactly N numbers.
template <std::size_t N>
std::array<std::int32_t, N> read_tuple(JsonReader& in) {
  std::array<std::int32_t, N> numbers{};
  std::size_t count = 0;
  in.read_array([&] {
    const std::int32_t number = in.read_int32();
    if (count < N) numbers[count] = number;
    ++count;
  });
  if (count != N) {
    in.fail("the array has " + std::to_string(count) + " numbers, expected " + std::to_string(N));
  }
  return numbers;
}

}  // namespace tidemark
