// Layers: the leaf ops that eager PyTorch runs for common layers, with what autograd saves of each.
//
// Saved tensors and backward ops follow torch's derivatives.yaml; views are no ops. Shapes are
// [batch, ..., features]. Layers that have weights make their own. Each function returns the
// layer's output.
#pragma once

#include <utility>

#include "tidemark/generate/step_builder.h"

namespace tidemark {

// Elementwise.
Tensor relu_(StepBuilder& step, const Tensor& x);
Tensor leaky_relu_(StepBuilder& step, const Tensor& x);
Tensor gelu(StepBuilder& step, const Tensor& x);
Tensor sigmoid(StepBuilder& step, const Tensor& x);
Tensor tanh(StepBuilder& step, const Tensor& x);
Tensor add(StepBuilder& step, const Tensor& x, const Tensor& y);
Tensor add_(StepBuilder& step, const Tensor& x, const Tensor& y);
Tensor mul(StepBuilder& step, const Tensor& x, const Tensor& y);
Tensor dropout(StepBuilder& step, const Tensor& x);
// The same storage seen with another shape of as many numbers, or a part of it: no op.
Tensor view(const Tensor& x, Shape shape);

// Matrices.
struct LinearWeights {
  Tensor weight;  // [out, in]
  Tensor bias;    // [out]
};
LinearWeights linear_weights(StepBuilder& step, std::int64_t in, std::int64_t out);
Tensor linear(StepBuilder& step, const Tensor& x, const LinearWeights& weights);
Tensor linear(StepBuilder& step, const Tensor& x, std::int64_t out);
Tensor product(StepBuilder& step, const Tensor& x, const Tensor& weight);  // x weight^T, no bias
Tensor layer_norm(StepBuilder& step, const Tensor& x);
Tensor embedding(StepBuilder& step, const Tensor& indices, const Tensor& table);

// Attention over qkv [batch, time, 3 * width]: one fused op, or the two products, the softmax and
// its dropout as ops of their own.
Tensor fused_attention(StepBuilder& step, const Tensor& qkv, std::int64_t heads);
Tensor unfused_attention(StepBuilder& step, const Tensor& qkv, std::int64_t heads);

// One LSTM cell as on CUDA: h' and c' of the gates x W + h U, each [batch, 4 * hidden].
std::pair<Tensor, Tensor> lstm_cell(StepBuilder& step, const Tensor& input_gates,
                                    const Tensor& hidden_gates, const Tensor& c);

// Mean over all rows of the cross entropy between logits [rows, classes] and random targets.
Tensor cross_entropy(StepBuilder& step, const Tensor& logits);

}  // namespace tidemark
