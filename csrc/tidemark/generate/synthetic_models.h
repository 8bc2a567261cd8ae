// Steps without a model: chains with given sizes and costs, and random graphs from a seed.
#pragma once

#include <cstdint>
#include <span>

#include "tidemark/base/export.h"
#include "tidemark/generate/step_builder.h"

namespace tidemark {

// One stage of a chain, x -> f(x), as the papers on chains have it. Backward reads the stage's
// input (or its output) and its tape, and turns the gradient of its output into that of its input.
struct ChainStage {
  Bytes output_bytes = 1;     // x[i + 1]
  Bytes tape_bytes = 0;       // what the stage keeps for its backward besides; 0: nothing
  Bytes gradient_bytes = 0;   // of the stage's input
  bool saves_output = false;  // instead of the input: tanh, the h of an LSTM
  Nanoseconds forward_ns = 1;
  Nanoseconds backward_ns = 1;
};

// Returns the step of a chain whose input takes `input_bytes`. It needs no loss: the first gradient
// is made from the last output.
TIDEMARK_API StepGraph chain_step(std::span<const ChainStage> stages, Bytes input_bytes);

// A chain of ops with weights whose widths vary, or do not.
Tensor dense_chain(StepBuilder& step, int length, bool is_ragged, std::int64_t batch);

// `num_ops` ops, each on one or two of the last few results: products, elementwise ops, dropouts,
// concatenations. All loose ends meet in the loss. The same seed gives the same graph everywhere.
Tensor random_network(StepBuilder& step, int num_ops, std::uint32_t seed, std::int64_t batch);

}  // namespace tidemark
