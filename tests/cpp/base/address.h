// Addresses for tests of maps: nobody reads what lies there.
#pragma once

#include <cstdint>

namespace tidemark::testing {

inline const void* address(std::uintptr_t number) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  return reinterpret_cast<const void*>(number * 64);
}

}  // namespace tidemark::testing
