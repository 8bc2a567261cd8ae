// Instances as CSV, in MiniMalloc's form, and layouts beside them.
//
//   id,lower,upper,size            lives in [lower, upper), takes `size` bytes
//   conv1,0,3,4096
//
// Further columns: `alignment` of a buffer's offset, `fixed` (the offset it must have; empty for
// none). An `offset` column is a layout that someone found, no demand, and is
// ignored, so that what to_csv writes can be packed again.
// Other columns are ignored too. Columns may come in any order.
#pragma once

#include <string>
#include <string_view>

#include "tidemark/arena/instance.h"
#include "tidemark/arena/layout.h"
#include "tidemark/base/export.h"

namespace tidemark {

// Returns the instance that `text` holds. Throws std::invalid_argument naming line and column for
// anything else; check(instance) passes.
TIDEMARK_API Instance instance_from_csv(std::string_view text);

// Returns the rows as above with the column `offset`. An empty name is written as its row, a comma
// in a name as a semicolon.
// REQUIRES: layout.offsets has one offset per buffer.
TIDEMARK_API std::string to_csv(const Instance& instance, const Layout& layout);

}  // namespace tidemark
