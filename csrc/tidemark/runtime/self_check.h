// The self-check: what the runtime takes for granted of torch, tried on the torch that runs.
//
// Torch promises little of this: which dispatch key is free, in which order autograd, autocast and
// the tap see an op, that saved tensors pass through the engine's hooks, how an allocator is asked,
// what a batch norm without running statistics computes. Each is tried on a few numbers, when the
// runtime is first used. Where one does not hold, nothing would be exact: the runtime refuses.
#pragma once

#include <string>
#include <vector>

#include "tidemark/base/export.h"

namespace tidemark {

struct Assumption {
  std::string name;     // "key order"
  std::string problem;  // what was seen instead, "" if it holds
};

// Tries all assumptions when first called, in milliseconds, on a thread of its own: no mode of the
// caller (no_grad, autocast, hooks, dispatch modes) takes part. Thread-safe; REQUIRES: no step runs
// in the process, and the caller does not hold Python's GIL.
TIDEMARK_API const std::vector<Assumption>& self_check();

// Returns "" if all of them hold, else which one does not, in a sentence that names this torch.
TIDEMARK_API std::string self_check_obstacle();

}  // namespace tidemark
