#include "tidemark/generate/layers.h"

namespace tidemark {
namespace {

double as_factor(std::int64_t count) { return static_cast<double>(count); }

// [batch, time, 3 * width] as queries, keys and values.
struct Heads {
  std::vector<Tensor> qkv;
  Shape output;  // [batch, time, width]
  Shape scores;  // [batch, heads, time, time]
  double flops;  // of one of the two products
};

Heads split_heads(StepBuilder& step, const Tensor& qkv, std::int64_t heads) {
  const std::int64_t batch = qkv.shape[0], time = qkv.shape[1], width = qkv.shape[2] / 3;
  const Shape part{batch, time, width};
  return {step.split(qkv, {part, part, part}),
          part,
          {batch, heads, time, time},
          2 * as_factor(batch * width) * as_factor(time * time)};
}

}  // namespace

Tensor fused_attention(StepBuilder& step, const Tensor& qkv, std::int64_t heads) {
  const Heads h = split_heads(step, qkv, heads);
  const Shape rows{h.scores[0], h.scores[1], h.scores[2]};
  const std::vector<Operand> saved{in(0), in(1), in(2), out(0), out(1)};
  return step
      .apply({.name = "aten::_scaled_dot_product_flash_attention",
              .inputs = h.qkv,
              .outputs = {{h.output}, {rows, 4}},
              .flops = 2 * h.flops,
              .node = "ScaledDotProductFlashAttentionBackward0",
              .saves = saved,
              .backward = {{"aten::_scaled_dot_product_flash_attention_backward",
                            saved,
                            {0, 1, 2},
                            5 * h.flops}}})
      .front();
}

Tensor unfused_attention(StepBuilder& step, const Tensor& qkv, std::int64_t heads) {
  const Heads h = split_heads(step, qkv, heads);
  const auto product = [&](const Tensor& x, const Tensor& y, const Shape& shape) {
    return step
        .apply({.name = "aten::baddbmm",
                .inputs = {x, y},
                .outputs = {{shape}},
                .flops = h.flops,
                .node = "BaddbmmBackward0",
                .saves = {in(0), in(1)},
                .backward = {{"aten::bmm", {in(1)}, {0}, h.flops},
                             {"aten::bmm", {in(0)}, {1}, h.flops}}})
        .front();
  };
  const Tensor scores = product(h.qkv[0], h.qkv[1], h.scores);
  const Tensor weights = step.apply({.name = "aten::_softmax",
                                     .inputs = {scores},
                                     .outputs = {{h.scores}},
                                     .node = "SoftmaxBackward0",
                                     .saves = {out(0)},
                                     .backward = {{"aten::_softmax_backward_data", {out(0)}, {0}}}})
                             .front();
  const Tensor mixed = product(dropout(step, weights), h.qkv[2], h.output);
  // The heads come together again in the order of the width.
  return step
      .apply({.name = "aten::clone",
              .inputs = {mixed},
              .outputs = {{h.output}},
              .node = "CloneBackward0",
              .passes_gradient = {0}})
      .front();
}

std::pair<Tensor, Tensor> lstm_cell(StepBuilder& step, const Tensor& input_gates,
                                    const Tensor& hidden_gates, const Tensor& c) {
  auto outputs = step.apply({.name = "aten::_thnn_fused_lstm_cell",
                             .inputs = {input_gates, hidden_gates, c},
                             .outputs = {{c.shape}, {c.shape}, {input_gates.shape}},
                             .node = "ThnnFusedLstmCellBackward0",
                             .saves = {in(2), out(1), out(2)},
                             .backward = {{"aten::_thnn_fused_lstm_cell_backward_impl",
                                           {in(2), out(1), out(2)},
                                           {0, 2},
                                           0,
                                           false,
                                           {{1, 0}}}}});
  return {outputs[0], outputs[1]};
}

}  // namespace tidemark
