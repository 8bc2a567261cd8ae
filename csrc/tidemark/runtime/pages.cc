#include "tidemark/runtime/pages.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace tidemark {
namespace {

constexpr Bytes kHugePage = mib(2);

Bytes page_size() {
  static const Bytes size = sysconf(_SC_PAGESIZE);
  return size;
}

Bytes round_up(Bytes bytes, Bytes unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

// What begins on a huge page can use them; so more is reserved, and cut off at both ends.
Pages::Pages(Bytes bytes) : bytes_(round_up(bytes, page_size())) {
  const bool is_large = bytes_ >= kHugePage;
  const Bytes reserved = bytes_ + (is_large ? kHugePage : 0);
  void* memory = mmap(nullptr, static_cast<std::size_t>(reserved), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::byte*>(memory);
  if (!is_large) return;
  const auto address = reinterpret_cast<Bytes>(memory);
  const Bytes skipped = round_up(address, kHugePage) - address;
  if (skipped > 0) munmap(data_, static_cast<std::size_t>(skipped));
  data_ += skipped;
  munmap(data_ + bytes_, static_cast<std::size_t>(kHugePage - skipped));
  madvise(data_, static_cast<std::size_t>(bytes_), MADV_HUGEPAGE);  // a wish
}

Pages::~Pages() { munmap(data_, static_cast<std::size_t>(bytes_)); }

void Pages::give_back(AddressRange range) noexcept {
  const Bytes begin = round_up(range.begin, page_size());
  const Bytes end = range.end / page_size() * page_size();
  if (begin < end) madvise(data_ + begin, static_cast<std::size_t>(end - begin), MADV_DONTNEED);
}

void give_back_freed_heap() noexcept { malloc_trim(0); }

}  // namespace tidemark
