// A training step like a transformer's, of any length, without torch.
//
// A chain of blocks (norm, projections, attention, dropout, two residual sums); backward unpacks
// what each op saved, in reverse; an optimizer writes every weight. Sizes and costs are those of a
// GPT of width 256 on 512 tokens, so that what a planner meets has the proportions of the real one.
#pragma once

#include "tidemark/graph/graph.h"

namespace tidemark::benchmarks {

// Returns a step of at least `num_ops` ops (forward, backward and optimizer together; one block
// more at most). The same number gives the same graph. check(graph) passes.
StepGraph synthetic_step(int num_ops);

}  // namespace tidemark::benchmarks
