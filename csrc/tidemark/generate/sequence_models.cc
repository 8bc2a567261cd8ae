#include "tidemark/generate/sequence_models.h"

#include <algorithm>
#include <string>
#include <tuple>

#include "tidemark/generate/layers.h"

namespace tidemark {
namespace {

constexpr std::int64_t kVocabulary = 50257;
constexpr std::int64_t kTreeInputs = 300;
constexpr std::int64_t kTreeClasses = 5;

Tensor named_linear(StepBuilder& step, const Tensor& x, std::int64_t out, std::string_view name) {
  const StepBuilder::Scope scope(step, name);
  return linear(step, x, out);
}

Tensor named_norm(StepBuilder& step, const Tensor& x, std::string_view name) {
  const StepBuilder::Scope scope(step, name);
  return layer_norm(step, x);
}

Tensor gpt2_block(StepBuilder& step, const Tensor& x, const GptSize& size, bool is_fused) {
  const Tensor qkv = named_linear(step, named_norm(step, x, "ln_1"), 3 * size.width, "attn.c_attn");
  Tensor mixed;
  {
    const StepBuilder::Scope scope(step, "attn");
    mixed = is_fused ? fused_attention(step, qkv, size.heads)
                     : unfused_attention(step, qkv, size.heads);
  }
  const Tensor y =
      add(step, x, dropout(step, named_linear(step, mixed, size.width, "attn.c_proj")));
  const Tensor wide =
      gelu(step, named_linear(step, named_norm(step, y, "ln_2"), 4 * size.width, "mlp.c_fc"));
  return add(step, y, dropout(step, named_linear(step, wide, size.width, "mlp.c_proj")));
}

// Tokens and positions; the positions are broadcast over the batch.
Tensor embed(StepBuilder& step, const Tensor& table, const GptSize& size, std::int64_t batch,
             std::int64_t time) {
  const Tensor tokens = embedding(step, step.input({batch, time}, 8), table);
  const Tensor positions =
      embedding(step, step.input({1, time}, 8),
                step.parameter({std::max<std::int64_t>(time, 1024), size.width}, "wpe.weight"));
  return step
      .apply({.name = "aten::add.Tensor",
              .inputs = {tokens, positions},
              .outputs = {{.shape = tokens.shape, .replay_over = 0}},
              .node = "AddBackward0",
              .backward = {{"aten::sum.dim_IntList", {}, {1}, 0, true}},
              .passes_gradient = {0}})
      .front();
}

// What the cells of one layer share.
struct LstmLayer {
  LinearWeights of_input;
  LinearWeights of_hidden;
  Tensor h;
  Tensor c;
};

std::vector<LstmLayer> lstm_layers(StepBuilder& step, const LstmSize& size, std::int64_t batch) {
  std::vector<LstmLayer> layers;
  for (int i = 0; i < size.layers; ++i) {
    const StepBuilder::Scope scope(step, "layer" + std::to_string(i));
    const std::int64_t inputs = i == 0 ? size.inputs : size.hidden;
    layers.push_back({linear_weights(step, inputs, 4 * size.hidden),
                      linear_weights(step, size.hidden, 4 * size.hidden),
                      step.input({batch, size.hidden}), step.input({batch, size.hidden})});
  }
  return layers;
}

Tensor lstm_step(StepBuilder& step, std::vector<LstmLayer>& layers, Tensor x) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const StepBuilder::Scope scope(step, "layer" + std::to_string(i));
    LstmLayer& layer = layers[i];
    const Tensor of_input = linear(step, x, layer.of_input);
    const Tensor of_hidden = linear(step, layer.h, layer.of_hidden);
    std::tie(layer.h, layer.c) = lstm_cell(step, of_input, of_hidden, layer.c);
    x = layer.h;
  }
  return x;
}

struct TreeState {
  Tensor h;
  Tensor c;
};

struct TreeWeights {
  LinearWeights leaf;  // x -> i, o, u
  LinearWeights left;  // h -> i, o, u, and a forget gate per child
  Tensor right;
};

TreeState tree_leaf(StepBuilder& step, const TreeWeights& weights, std::int64_t batch,
                    std::int64_t hidden) {
  const Tensor gates = linear(step, step.input({batch, kTreeInputs}), weights.leaf);
  const Shape part{batch, hidden};
  const auto parts = step.split(gates, {part, part, part});
  const Tensor c = mul(step, sigmoid(step, parts[0]), tanh(step, parts[2]));
  return {mul(step, sigmoid(step, parts[1]), tanh(step, c)), c};
}

TreeState tree_node(StepBuilder& step, const TreeWeights& weights, const TreeState& left,
                    const TreeState& right) {
  const Tensor gates =
      add_(step, linear(step, left.h, weights.left), product(step, right.h, weights.right));
  const Shape part = left.h.shape;
  const auto parts = step.split(gates, {part, part, part, part, part});
  Tensor c = mul(step, sigmoid(step, parts[0]), tanh(step, parts[2]));
  c = add(step, c, mul(step, sigmoid(step, parts[3]), left.c));
  c = add(step, c, mul(step, sigmoid(step, parts[4]), right.c));
  return {mul(step, sigmoid(step, parts[1]), tanh(step, c)), c};
}

TreeState tree(StepBuilder& step, const TreeWeights& weights, int leaves, std::int64_t batch,
               std::int64_t hidden) {
  if (leaves == 1) return tree_leaf(step, weights, batch, hidden);
  const TreeState left = tree(step, weights, leaves - leaves / 2, batch, hidden);
  const TreeState right = tree(step, weights, leaves / 2, batch, hidden);
  return tree_node(step, weights, left, right);
}

}  // namespace

Tensor gpt2(StepBuilder& step, const GptSize& size, bool has_fused_attention, std::int64_t batch,
            std::int64_t time) {
  const Tensor table = step.parameter({kVocabulary, size.width}, "wte.weight");
  Tensor x = dropout(step, embed(step, table, size, batch, time));
  for (int i = 0; i < size.layers; ++i) {
    const StepBuilder::Scope scope(step, "h." + std::to_string(i));
    x = gpt2_block(step, x, size, has_fused_attention);
  }
  const Tensor last = named_norm(step, x, "ln_f");
  const StepBuilder::Scope scope(step, "lm_head");
  return cross_entropy(step, product(step, last, table));
}

Tensor lstm(StepBuilder& step, const LstmSize& size, std::int64_t batch, std::int64_t time) {
  std::vector<LstmLayer> layers = lstm_layers(step, size, batch);
  const LinearWeights decoder = linear_weights(step, size.hidden, size.classes);
  Tensor loss;
  for (std::int64_t t = 0; t < time; ++t) {
    const StepBuilder::Scope scope(step, "t" + std::to_string(t));
    const Tensor h = lstm_step(step, layers, step.input({batch, size.inputs}));
    const Tensor here = cross_entropy(step, linear(step, h, decoder));
    loss = t == 0 ? here : add(step, loss, here);
  }
  return loss;
}

Tensor tree_lstm(StepBuilder& step, int leaves, std::int64_t batch, std::int64_t hidden) {
  const TreeWeights weights{linear_weights(step, kTreeInputs, 3 * hidden),
                            linear_weights(step, hidden, 5 * hidden),
                            step.parameter({5 * hidden, hidden}, "right.weight")};
  const TreeState root = tree(step, weights, leaves, batch, hidden);
  return cross_entropy(step, linear(step, root.h, kTreeClasses));
}

}  // namespace tidemark
