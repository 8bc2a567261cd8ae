#include "tidemark/base/bytes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <limits>
#include <stdexcept>

namespace tidemark {
namespace {

struct Unit {
  std::string_view name;
  Bytes bytes;
};

constexpr Bytes kTera = 1'000'000'000'000;
constexpr std::array<Unit, 9> kUnits{{{"B", 1},
                                      {"KiB", kib(1)},
                                      {"MiB", mib(1)},
                                      {"GiB", gib(1)},
                                      {"TiB", gib(1024)},
                                      {"KB", 1'000},
                                      {"MB", 1'000'000},
                                      {"GB", 1'000'000'000},
                                      {"TB", kTera}}};

constexpr std::array<Unit, 4> kPrintedUnits{
    {{"TiB", gib(1024)}, {"GiB", gib(1)}, {"MiB", mib(1)}, {"KiB", kib(1)}}};

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto same = [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw std::invalid_argument(
      fmt::format("\"{}\" is not a size: {}. Write a number of bytes (4096) or a number with a "
                  "unit: B, KiB, MiB, GiB, TiB (powers of 1024) or KB, MB, GB, TB (powers of "
                  "1000), as in \"6 GiB\" or \"1.5 GB\"",
                  text, why));
}

Bytes unit_bytes(std::string_view text, std::string_view unit) {
  if (unit.empty()) return 1;
  for (const Unit& known : kUnits) {
    if (equal_ignoring_case(unit, known.name)) return known.bytes;
  }
  if (unit == "%") refuse(text, "a share of the device is known to a MemoryBudget only");
  refuse(text, fmt::format("unknown unit \"{}\"", unit));
}

// Decimal digits with at most one point, as an exact fraction: whole + part / scale.
struct Number {
  __int128 whole = 0;
  __int128 part = 0;
  __int128 scale = 1;
};

constexpr __int128 kMostBytes = std::numeric_limits<Bytes>::max();

Number read_number(std::string_view text, std::string_view digits) {
  constexpr __int128 kFinestScale = 1'000'000'000'000'000;  // below a thousandth of a byte of a TB
  Number number;
  bool after_point = false;
  for (const char c : digits) {
    if (c == '.') {
      if (after_point) refuse(text, "two decimal points");
      after_point = true;
    } else if (!after_point) {
      number.whole = std::min<__int128>(number.whole * 10 + (c - '0'), kMostBytes + 1);
    } else if (number.scale < kFinestScale) {
      number.part = number.part * 10 + (c - '0');
      number.scale *= 10;
    }
  }
  return number;
}

// Three significant digits, more only before the point: 1.23, 12.3, 123, 1234.
std::string three_digits(double value) {
  const double size = std::abs(value);
  const int decimals = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}", value, decimals);
}

}  // namespace

Bytes parse_bytes(std::string_view text) {
  const std::string_view trimmed = trim(text);
  if (trimmed.empty()) refuse(text, "nothing is written there");
  if (trimmed.front() == '-') refuse(text, "a size cannot be negative");
  const auto end = std::min(trimmed.find_first_not_of("0123456789."), trimmed.size());
  const std::string_view digits = trimmed.substr(0, end);
  if (digits.find_first_of("0123456789") == std::string_view::npos) {
    refuse(text, "it does not begin with a number");
  }
  const std::string_view unit = trim(trimmed.substr(end));
  const Number number = read_number(text, digits);
  if (unit.empty() && number.part != 0) {
    refuse(text, "a number without a unit counts bytes and has no fraction");
  }
  const __int128 scale = unit_bytes(text, unit);
  const __int128 bytes = number.whole * scale + number.part * scale / number.scale;
  if (bytes > kMostBytes) refuse(text, "it is above 2^63 - 1 bytes");
  return static_cast<Bytes>(bytes);
}

std::string format_bytes(Bytes bytes) {
  const double size = static_cast<double>(bytes);
  for (const Unit& unit : kPrintedUnits) {
    const double in_unit = size / static_cast<double>(unit.bytes);
    if (std::abs(in_unit) >= 1) return fmt::format("{:.2f} {}", in_unit, unit.name);
  }
  return fmt::format("{} B", bytes);
}

std::string format_duration(Nanoseconds ns) {
  const double value = static_cast<double>(ns);
  const double size = std::abs(value);
  if (size < 999.5) return fmt::format("{} ns", ns);
  if (size < 999.5e3) return three_digits(value / 1e3) + " us";
  if (size < 999.5e6) return three_digits(value / 1e6) + " ms";
  return three_digits(value / 1e9) + " s";
}

Bytes checked_add(Bytes a, Bytes b) {
  Bytes sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) {
    throw std::overflow_error(fmt::format("{} + {} bytes do not fit in 64 bits", a, b));
  }
  return sum;
}

}  // namespace tidemark
