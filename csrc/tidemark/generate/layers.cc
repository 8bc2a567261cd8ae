#include "tidemark/generate/layers.h"

namespace tidemark {
namespace {

// Elements of a tensor as a factor of FLOPs.
double count(const Tensor& tensor) { return static_cast<double>(tensor.numel()); }

Tensor elementwise(StepBuilder& step, std::string_view name, std::string_view node,
                   std::string_view backward, const Tensor& x, Operand saved, bool is_in_place) {
  return step
      .apply({.name = "aten::" + std::string(name),
              .inputs = {x},
              .outputs = {{x.shape, x.element_bytes, is_in_place ? 0 : kNone,
                           is_in_place ? kNone : 0}},
              .node = std::string(node),
              .saves = {saved},
              .backward = {{"aten::" + std::string(backward), {saved}, {0}}}})
      .front();
}

}  // namespace

Tensor relu_(StepBuilder& step, const Tensor& x) {
  return elementwise(step, "relu_", "ReluBackward0", "threshold_backward", x, out(0), true);
}

Tensor leaky_relu_(StepBuilder& step, const Tensor& x) {
  return elementwise(step, "leaky_relu_", "LeakyReluBackward0", "leaky_relu_backward", x, out(0),
                     true);
}

Tensor gelu(StepBuilder& step, const Tensor& x) {
  return elementwise(step, "gelu", "GeluBackward0", "gelu_backward", x, in(0), false);
}

Tensor sigmoid(StepBuilder& step, const Tensor& x) {
  return elementwise(step, "sigmoid", "SigmoidBackward0", "sigmoid_backward", x, out(0), false);
}

Tensor tanh(StepBuilder& step, const Tensor& x) {
  return elementwise(step, "tanh", "TanhBackward0", "tanh_backward", x, out(0), false);
}

Tensor add(StepBuilder& step, const Tensor& x, const Tensor& y) {
  return step
      .apply({.name = "aten::add.Tensor",
              .inputs = {x, y},
              .outputs = {{.shape = x.shape, .replay_over = 0}},
              .node = "AddBackward0",
              .passes_gradient = {0, 1}})
      .front();
}

Tensor add_(StepBuilder& step, const Tensor& x, const Tensor& y) {
  return step
      .apply({.name = "aten::add_.Tensor",
              .inputs = {x, y},
              .outputs = {{x.shape, x.element_bytes, 0}},
              .node = "AddBackward0",
              .passes_gradient = {0, 1}})
      .front();
}

Tensor mul(StepBuilder& step, const Tensor& x, const Tensor& y) {
  return step
      .apply({.name = "aten::mul.Tensor",
              .inputs = {x, y},
              .outputs = {{.shape = x.shape, .replay_over = 0}},
              .node = "MulBackward0",
              .saves = {in(0), in(1)},
              .backward = {{"aten::mul.Tensor", {in(1)}, {0}}, {"aten::mul.Tensor", {in(0)}, {1}}}})
      .front();
}

Tensor dropout(StepBuilder& step, const Tensor& x) {
  return step
      .apply({.name = "aten::native_dropout",
              .inputs = {x},
              .outputs = {{x.shape}, {x.shape, 1}},
              .random_numbers = x.numel(),
              .node = "NativeDropoutBackward0",
              .saves = {out(1)},
              .backward = {{"aten::native_dropout_backward", {out(1)}, {0}}}})
      .front();
}

Tensor view(const Tensor& x, Shape shape) {
  Tensor seen = x;
  seen.shape = std::move(shape);
  return seen;
}

LinearWeights linear_weights(StepBuilder& step, std::int64_t in, std::int64_t out) {
  return {step.parameter({out, in}, "weight"), step.parameter({out}, "bias")};
}

Tensor linear(StepBuilder& step, const Tensor& x, const LinearWeights& weights) {
  Shape shape = x.shape;
  shape.back() = weights.weight.shape[0];
  const double flops = 2 * count(x) * static_cast<double>(shape.back());
  // The bias was broadcast, so its gradient is summed once the formula has returned.
  return step
      .apply({.name = "aten::addmm",
              .inputs = {weights.bias, x, weights.weight},
              .outputs = {{shape}},
              .flops = flops,
              .node = "AddmmBackward0",
              .saves = {in(1), in(2)},
              .backward = {{"aten::mm", {in(2)}, {1}, flops},
                           {"aten::mm", {in(1)}, {2}, flops},
                           {"aten::sum.dim_IntList", {}, {0}, 0, true}}})
      .front();
}

Tensor linear(StepBuilder& step, const Tensor& x, std::int64_t out) {
  return linear(step, x, linear_weights(step, x.shape.back(), out));
}

Tensor product(StepBuilder& step, const Tensor& x, const Tensor& weight) {
  Shape shape = x.shape;
  shape.back() = weight.shape[0];
  const double flops = 2 * count(x) * static_cast<double>(shape.back());
  return step
      .apply({.name = "aten::mm",
              .inputs = {x, weight},
              .outputs = {{shape}},
              .flops = flops,
              .node = "MmBackward0",
              .saves = {in(0), in(1)},
              .backward = {{"aten::mm", {in(1)}, {0}, flops}, {"aten::mm", {in(0)}, {1}, flops}}})
      .front();
}

Tensor layer_norm(StepBuilder& step, const Tensor& x) {
  const Shape width{x.shape.back()};
  Shape rows = x.shape;
  rows.back() = 1;
  return step
      .apply({.name = "aten::native_layer_norm",
              .inputs = {x, step.parameter(width, "weight"), step.parameter(width, "bias")},
              .outputs = {{x.shape}, {rows, 4}, {rows, 4}},
              .node = "NativeLayerNormBackward0",
              .saves = {in(0), in(1), in(2), out(1), out(2)},
              .backward = {{"aten::native_layer_norm_backward",
                            {in(0), in(1), in(2), out(1), out(2)},
                            {0, 1, 2}}}})
      .front();
}

Tensor embedding(StepBuilder& step, const Tensor& indices, const Tensor& table) {
  Shape shape = indices.shape;
  shape.push_back(table.shape[1]);
  return step
      .apply({.name = "aten::embedding",
              .inputs = {table, indices},
              .outputs = {{shape}},
              .node = "EmbeddingBackward0",
              .saves = {in(1)},
              .backward = {{"aten::embedding_dense_backward", {in(1)}, {0}}}})
      .front();
}

Tensor cross_entropy(StepBuilder& step, const Tensor& logits) {
  const Tensor target = step.input({logits.numel() / logits.shape.back()}, 8);
  const Tensor log_probabilities =
      step.apply({.name = "aten::_log_softmax",
                  .inputs = {logits},
                  .outputs = {{logits.shape}},
                  .node = "LogSoftmaxBackward0",
                  .saves = {out(0)},
                  .backward = {{"aten::_log_softmax_backward_data", {out(0)}, {0}}}})
          .front();
  return step
      .apply({.name = "aten::nll_loss_forward",
              .inputs = {log_probabilities, target},
              .outputs = {{Shape{}}, {Shape{}}},
              .node = "NllLossBackward0",
              .saves = {in(0), in(1), out(1)},
              .backward = {{"aten::nll_loss_backward", {in(0), in(1), out(1)}, {0}}}})
      .front();
}

}  // namespace tidemark
