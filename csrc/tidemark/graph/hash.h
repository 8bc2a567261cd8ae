// FNV-1a, 64 bit: stable across platforms and runs, so that hashes may be written to files.
#pragma once

#include <cstdint>
#include <string_view>

namespace tidemark {

inline constexpr std::uint64_t kHashSeed = 0xcbf29ce484222325ull;

constexpr std::uint64_t hash_bytes(std::string_view text, std::uint64_t hash = kHashSeed) noexcept {
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

// Mixes one integer into `hash`; one multiplication, for use on hot paths.
constexpr std::uint64_t hash_int(std::uint64_t hash, std::int64_t value) noexcept {
  hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x9e3779b97f4a7c15ull;
  return hash ^ (hash >> 29);
}

}  // namespace tidemark
