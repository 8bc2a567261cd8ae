// Layout: one offset per buffer of an Instance, and the height of the arena that they need.
//
// Whether it is right is validate_layout.h's business. Plain data.
#pragma once

#include <vector>

#include "tidemark/arena/instance.h"

namespace tidemark {

struct Layout {
  std::vector<Bytes> offsets;  // by row of Instance::buffers
  Bytes height = 0;            // the highest end of a buffer, sizes rounded up
  bool operator==(const Layout&) const = default;
};

}  // namespace tidemark
