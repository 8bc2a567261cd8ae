// JsonWriter: writes JSON that is compact, stable and one line per record.
//
// The same data gives the same bytes on every platform: keys come in the order of the calls, only
// integers, strings and booleans exist, and everything outside printable ASCII is escaped (bytes
// that are no UTF-8 become U+FFFD). Fields that have their default are left out by the callers,
// through the put_* functions below.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tidemark/base/export.h"

namespace tidemark {

class TIDEMARK_API JsonWriter {
 public:
  // Structure. Commas come by themselves; begin and end must match.
  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }
  void key(std::string_view name);
  void new_line();  // before the next item

  void write(std::int64_t number);
  void write(bool flag);
  void write(std::string_view text);

  // Key and value, unless the value is the default that readers assume.
  void put_int(std::string_view name, std::int64_t number, std::int64_t missing = 0);
  void put_flag(std::string_view name, bool flag);
  void put_text(std::string_view name, std::string_view text);
  void put_texts(std::string_view name, const std::vector<std::string>& texts);
  void put_ints(std::string_view name, const std::vector<std::int32_t>& numbers);

  // Returns the document; the writer is empty afterwards.
  std::string take();

 private:
  void open(char bracket);
  void close(char bracket);
  void begin_item();

  std::string out_;
  bool needs_comma_ = false;
  bool needs_line_ = false;
};

}  // namespace tidemark
