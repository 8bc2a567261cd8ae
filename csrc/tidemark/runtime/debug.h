// debug: switches everything off that Tidemark changes about a step.
//
//   {
//     auto everything_off = tidemark::debug();  // until it goes out of scope; scopes nest
//     auto step = budget.step();                // its bytes are counted, and nothing else
//   }
//
// Until then no budget holds: steps run as without one and only their bytes are counted (they are
// watched steps in which nothing is given back, recorded or planned), calls of Inference get memory
// as without it, and checkpoint is a plain call. What the program holds is as it was computed,
// whenever it looks. Steps, calls and functions that have begun go on as they are.
//
// THREADS: it is the process that is debugged, in all of them.
#pragma once

#include "tidemark/base/export.h"

namespace tidemark {

class TIDEMARK_API DebugScope {
 public:
  DebugScope() noexcept;
  ~DebugScope();
  DebugScope(const DebugScope&) = delete;
  DebugScope& operator=(const DebugScope&) = delete;
};

[[nodiscard]] inline DebugScope debug() { return {}; }

// Whether a scope is open.
TIDEMARK_API bool is_debugging() noexcept;

}  // namespace tidemark
