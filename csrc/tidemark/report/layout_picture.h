// A layout as a picture: time to the right, addresses up, one box per buffer.
//
// Pure function; may be called from any thread.
#pragma once

#include <string>

#include "tidemark/arena/instance.h"
#include "tidemark/arena/layout.h"
#include "tidemark/base/export.h"

namespace tidemark {

// Returns an SVG document of `width` by `height` pixels. Each box carries the buffer's name, size,
// life and offset as a tooltip; a dashed line marks `lower_bound`. The same layout always gives the
// same bytes. Throws std::invalid_argument unless there is one offset per buffer.
TIDEMARK_API std::string to_svg(const Instance& instance, const Layout& layout, Bytes lower_bound,
                                int width = 1200, int height = 600);

}  // namespace tidemark
