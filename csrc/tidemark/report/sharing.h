// Sharing: what the gradients of a step take, and what its peak would be where they shared memory
// in ways that autograd's formulas do not by themselves. Figures of a step under a plan; the plan's
// own values and replays stay as they are.
//
//   - Written in place: an elementwise op of backward writes over an operand that dies with it
//     (NNTrainer calls it derivative sharing). Torch's formulas return fresh tensors, so nothing
//     carries this out.
//   - Updated early: each parameter, or each module's parameters, as soon as the gradients are
//     complete, which then die. tidemark.optimizer_in_backward does that. What the optimizer itself
//     allocates for a moment is not in the figure.
//
// Pure functions; may be called from any thread.
#pragma once

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/graph/graph.h"
#include "tidemark/plan/plan.h"
#include "tidemark/plan/simulate.h"

namespace tidemark {

struct Sharing {
  // Gradients of activations: each in memory of its own, and the most that lives at once.
  Bytes derivative_bytes = 0;
  Bytes live_derivative_bytes = 0;
  Bytes gradient_bytes = 0;  // of parameters, made in this step
  // The step's peak
  Bytes in_place_peak_bytes = 0;      // with backward written in place
  Bytes by_module_peak_bytes = 0;     // with updates as soon as a module's gradients are complete
  Bytes by_parameter_peak_bytes = 0;  // ... or a parameter's
  bool operator==(const Sharing&) const = default;
};

// Returns the figures of `graph` where memory goes as `simulation` says.
// REQUIRES: `simulation` is of this graph.
TIDEMARK_API Sharing sharing_of(const StepGraph& graph, const Simulation& simulation);

}  // namespace tidemark
