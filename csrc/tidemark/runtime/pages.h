// Pages: address space of our own, straight from the operating system.
//
// Memory is taken page by page at the first touch, and can be given back page by page. Whole huge
// pages are used inside where the system allows it: the first touch of a large arena then costs a
// five-hundredth of the faults.
#pragma once

#include <cstddef>

#include "tidemark/arena/instance.h"
#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"

namespace tidemark {

class Pages {
 public:
  // At least `bytes`, all of them zero. Throws std::bad_alloc if the system has no room.
  explicit Pages(Bytes bytes);
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  std::byte* data() const noexcept { return data_; }
  Bytes bytes() const noexcept { return bytes_; }
  // Gives back the pages that lie in the range as a whole; they read as zero from then on.
  void give_back(AddressRange range) noexcept;

 private:
  std::byte* data_ = nullptr;
  Bytes bytes_ = 0;
};

// Gives the system the memory that malloc keeps though all of it is freed. Takes milliseconds, and
// what comes next pays page faults: for the end of something that needed much, once.
TIDEMARK_API void give_back_freed_heap() noexcept;

}  // namespace tidemark
