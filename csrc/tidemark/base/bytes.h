// Bytes, durations and the words people write them in.
//
// Sizes are signed 64-bit byte counts and durations signed 64-bit nanoseconds everywhere in
// Tidemark; nothing is stored in KiB or in floating point. "GiB" is 2^30 and "GB" is 10^9,
// strictly, both when read and when printed.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "tidemark/base/export.h"

namespace tidemark {

using Bytes = std::int64_t;        // A size in bytes; never KiB.
using Nanoseconds = std::int64_t;  // A duration in nanoseconds.

inline constexpr Bytes kUnlimited = std::numeric_limits<Bytes>::max();  // No budget.

constexpr Bytes kib(std::int64_t n) noexcept { return n << 10; }
constexpr Bytes mib(std::int64_t n) noexcept { return n << 20; }
constexpr Bytes gib(std::int64_t n) noexcept { return n << 30; }

// Returns the number of bytes that `text` names: "6 GiB", "1.5GB", "512 MiB", "4096 B", "4096".
// Throws std::invalid_argument naming the text and the accepted forms for anything else, for
// negative sizes and for sizes above 2^63 - 1.
TIDEMARK_API Bytes parse_bytes(std::string_view text);

// Returns `bytes` in the largest binary unit that keeps it at or above one: "1.50 GiB", "12 B".
TIDEMARK_API std::string format_bytes(Bytes bytes);

// Returns a duration with three significant digits and its unit: "1.23 ms".
TIDEMARK_API std::string format_duration(Nanoseconds ns);

// Returns a + b. Throws std::overflow_error when the sum does not fit.
TIDEMARK_API Bytes checked_add(Bytes a, Bytes b);

}  // namespace tidemark
