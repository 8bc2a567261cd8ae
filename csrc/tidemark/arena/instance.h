// Instance: what has to be placed. Buffers whose lifetimes are fixed, to be given addresses so that
// no two that live at one time overlap: dynamic storage allocation.
//
//   Instance instance;
//   instance.buffers = {{.begin = 0, .end = 3, .size = 4096}, {.begin = 2, .end = 5, .size = 512}};
//   Packing packing = pack(instance);                       // pack.h
//
// TIME is any axis of integers (events of a step, positions in a trace); lifetimes are half-open.
// ADDRESSES count from 0, the start of the arena. With a block limit the arena is a row of blocks
// of that many bytes and no buffer crosses from one into the next: several arenas on one axis.
//
// Plain data; knows neither graphs nor torch. May be copied and read from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"

namespace tidemark {

using Time = std::int64_t;

struct Buffer {
  Time begin = 0;
  Time end = 0;  // live in [begin, end); an empty life is in nobody's way
  Bytes size = 0;
  Bytes alignment = 1;          // its offset is a multiple of this
  std::optional<Bytes> offset;  // where it must lie; chosen by the packer if there is none
  std::string name;             // for people; also tells equal buffers apart, whatever their order
  bool operator==(const Buffer&) const = default;
};

// Addresses [begin, end).
struct AddressRange {
  Bytes begin = 0;
  Bytes end = 0;
  bool operator==(const AddressRange&) const = default;
};

struct Instance {
  std::vector<Buffer> buffers;
  // Every offset is a multiple of this and every size is rounded up to it, as allocators do.
  Bytes alignment = 1;
  // Bytes of one block of the arena; no limit without.
  std::optional<Bytes> block_limit;
  // Addresses that nothing may touch at any time.
  std::vector<AddressRange> forbidden;
  bool operator==(const Instance&) const = default;
};

// Returns the bytes that `buffer` takes up in the arena: its size, rounded up.
TIDEMARK_API Bytes padded_size(const Instance& instance, const Buffer& buffer);

// Returns how `buffer` is called in texts: its name, else "#<row>".
TIDEMARK_API std::string name_of(const Instance& instance, std::int32_t row);

// Throws std::invalid_argument naming the first broken rule and its row: a life that ends before it
// begins or reaches beyond 62 bits, a negative size, an alignment below 1, a fixed offset that is
// negative or not aligned, a block limit that is no multiple of an alignment or smaller than a
// buffer, sizes whose sum does not fit 62 bits, more than 2^31 - 2 buffers.
TIDEMARK_API void check(const Instance& instance);

}  // namespace tidemark
