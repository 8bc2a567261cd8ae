#include "tidemark/generate/synthetic_models.h"

#include <algorithm>
#include <random>
#include <string>

#include "tidemark/generate/image_layers.h"
#include "tidemark/generate/layers.h"

namespace tidemark {
namespace {

class Chain {
 public:
  Chain(std::span<const ChainStage> stages, Bytes input_bytes) : stages_(stages) {
    states_.push_back(add({.bytes = input_bytes, .persistent = true}));
    graph_.entry.blocks = {0};
    graph_.entry.bytes_by_category[static_cast<int>(Category::kOther)] = input_bytes;
    graph_.is_estimate = true;
    graph_.recorded_by = "tidemark generate";
  }

  StepGraph run() {
    for (const ChainStage& stage : stages_) forward(stage);
    const EventIndex seed = now();
    graph_.events.push_back({.name = "aten::ones_like", .inputs = {states_.back()}});
    ValueIndex gradient = make(seed, stages_.back().gradient_bytes);
    for (std::size_t i = stages_.size(); i-- > 0;) gradient = backward(i, gradient);
    graph_.values[states_.front()].holds = {{0, now()}};
    return std::move(graph_);
  }

 private:
  EventIndex now() const { return graph_.num_events(); }
  ValueIndex add(Value value) {
    value.block = graph_.num_values();
    graph_.values.push_back(std::move(value));
    return graph_.num_values() - 1;
  }
  ValueIndex make(EventIndex producer, Bytes bytes) {
    const ValueIndex v = add({.bytes = bytes, .category = Category::kTemp, .producer = producer});
    graph_.values[v].holds = {{producer, producer + 2}};
    graph_.events[producer].outputs.push_back(v);
    return v;
  }
  void save(ValueIndex v, EventIndex packed_at) {
    Value& value = graph_.values[v];
    value.category = Category::kActivation;
    value.handles.push_back({num_handles_++, std::max(packed_at, 0), packed_at + 2});
  }

  void forward(const ChainStage& stage) {
    const EventIndex at = now();
    const ValueIndex x = states_.back();
    graph_.events.push_back({.name = "stage",
                             .scope = std::to_string(states_.size() - 1),
                             .cost_ns = stage.forward_ns,
                             .inputs = {x}});
    states_.push_back(make(at, stage.output_bytes));
    tapes_.push_back(kNone);
    if (stage.saves_output)
      save(states_.back(), at);
    else
      save(x, at - 1);
    if (stage.tape_bytes == 0) return;
    tapes_.back() = make(at, stage.tape_bytes);
    graph_.values[tapes_.back()].holds = {{at, at + 1}};
    save(tapes_.back(), at);
  }

  ValueIndex backward(std::size_t i, ValueIndex gradient) {
    const EventIndex at = now();
    std::vector<ValueIndex> saved{states_[i + (stages_[i].saves_output ? 1 : 0)]};
    if (tapes_[i] != kNone) saved.push_back(tapes_[i]);
    Event unpack{.kind = EventKind::kUnpack, .name = "StageBackward", .phase = Phase::kBackward};
    unpack.values = saved;
    for (ValueIndex v : saved) {
      Value& value = graph_.values[v];
      value.holds.push_back({at, at + 2});
      value.handles.front().released_at = at + 2;
      unpack.handles.push_back(value.handles.front().number);
    }
    graph_.events.push_back(std::move(unpack));
    Event op{.name = "stage_backward", .phase = Phase::kBackward};
    op.scope = std::to_string(i);
    op.cost_ns = stages_[i].backward_ns;
    op.inputs = std::move(saved);
    op.inputs.push_back(gradient);
    graph_.values[gradient].holds.back().end = at + 2;
    graph_.events.push_back(std::move(op));
    return make(at + 1, stages_[i].gradient_bytes);
  }

  std::span<const ChainStage> stages_;
  StepGraph graph_;
  HandleNumber num_handles_ = 0;
  std::vector<ValueIndex> states_;
  std::vector<ValueIndex> tapes_;
};

class RandomNetwork {
 public:
  RandomNetwork(StepBuilder& step, std::uint32_t seed) : step_(step), random_(seed) {}

  Tensor run(int num_ops, std::int64_t batch) {
    recent_ = {linear(step_, step_.input({batch, kWidth}), kWidth)};
    for (int i = 1; i < num_ops; ++i) {
      const StepBuilder::Scope scope(step_, "op" + std::to_string(i));
      grow();
    }
    Tensor sum = linear(step_, recent_.front(), kWidth);
    for (std::size_t i = 1; i < recent_.size(); ++i)
      sum = add_(step_, sum, linear(step_, recent_[i], kWidth));
    return cross_entropy(step_, sum);
  }

 private:
  static constexpr std::int64_t kWidth = 256;
  static constexpr std::size_t kMostRecent = 6;

  std::uint32_t below(std::uint32_t n) { return random_() % n; }

  // The op's first input is used up most of the time, so that the graph stays narrow.
  void grow() {
    const std::size_t at = below(static_cast<std::uint32_t>(recent_.size()));
    const Tensor result = make(recent_[at]);
    if (recent_.size() >= kMostRecent || below(3) != 0)
      recent_[at] = result;
    else
      recent_.push_back(result);
  }

  Tensor make(const Tensor& x) {
    const Tensor& y = recent_[below(static_cast<std::uint32_t>(recent_.size()))];
    const bool is_alike = x.shape == y.shape && x.value != y.value;
    switch (below(8)) {
      case 0:
      case 1:
        return linear(step_, x, kWidth * (1 + below(4)));
      case 2:
        return gelu(step_, x);
      case 3:
        return layer_norm(step_, x);
      case 4:
        return dropout(step_, x);
      case 5:
        return is_alike ? mul(step_, x, y) : sigmoid(step_, x);
      case 6:
        return is_alike ? add(step_, x, y) : tanh(step_, x);
      default:
        return linear(step_, x.value == y.value ? x : concatenate(step_, {x, y}), kWidth);
    }
  }

  StepBuilder& step_;
  std::mt19937 random_;
  std::vector<Tensor> recent_;
};

}  // namespace

StepGraph chain_step(std::span<const ChainStage> stages, Bytes input_bytes) {
  return Chain(stages, input_bytes).run();
}

Tensor dense_chain(StepBuilder& step, int length, bool is_ragged, std::int64_t batch) {
  constexpr std::int64_t kWidth = 512;
  Tensor x = step.input({batch, kWidth});
  for (int i = 0; i < length; ++i) {
    const StepBuilder::Scope scope(step, std::to_string(i));
    // 1, 3, 2, 5, 4, ... quarters: neighbours differ and no period is short.
    const std::int64_t width = is_ragged ? kWidth / 4 * (1 + (i * 5 + i / 3) % 7) : kWidth;
    x = gelu(step, linear(step, x, width));
  }
  return cross_entropy(step, x);
}

Tensor random_network(StepBuilder& step, int num_ops, std::uint32_t seed, std::int64_t batch) {
  return RandomNetwork(step, seed).run(num_ops, batch);
}

}  // namespace tidemark
