#include "synthetic_step.h"

#include <algorithm>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

namespace tidemark::benchmarks {
namespace {

constexpr Bytes kFloat = 4;
constexpr Bytes kToken = 512 * kFloat;         // one float per token
constexpr Bytes kHidden = 256 * kToken;        // one activation
constexpr Bytes kWeight = kFloat * 256 * 256;  // one square weight
constexpr Nanoseconds kProduct = 400'000;      // a product with a square weight
constexpr Nanoseconds kElementwise = 30'000;   // a pass over one activation

class Builder {
 public:
  StepGraph build(int num_ops) {
    ValueIndex x = source(kHidden, Category::kOther);
    while (num_ops_if_ended() < num_ops) x = block(x);
    backward();
    optimize();
    finish();
    return std::move(graph_);
  }

 private:
  // What backward needs to know of a forward op.
  struct Taped {
    std::string name;
    std::vector<ValueIndex> data_inputs;
    std::vector<ValueIndex> outputs;
    std::vector<ValueIndex> saved;
    std::vector<HandleNumber> handles;
    ValueIndex weight = kNone;
    Nanoseconds cost_ns = 0;
  };

  EventIndex now() const { return graph_.num_events(); }
  // Per forward op one of backward; per weight one write; the seed of backward.
  int num_ops_if_ended() const {
    return 2 * static_cast<int>(tape_.size()) + static_cast<int>(weights_.size()) + 1;
  }

  ValueIndex add(Value value) {
    value.block = num_blocks_++;
    graph_.values.push_back(std::move(value));
    last_use_.push_back(now());
    return graph_.num_values() - 1;
  }
  ValueIndex source(Bytes bytes, Category category) {
    const bool stays = category == Category::kParameter;
    const ValueIndex v = add({.bytes = bytes, .category = category, .persistent = stays});
    graph_.entry.blocks.push_back(graph_.values[v].block);
    graph_.entry.bytes_by_category[static_cast<int>(category)] += bytes;
    return v;
  }

  // Appends an op that reads `inputs` and makes values of the given sizes; returns the first.
  ValueIndex run(std::string name, Phase phase, std::vector<ValueIndex> inputs,
                 const std::vector<Bytes>& sizes, Nanoseconds cost_ns) {
    Event op{.name = std::move(name), .phase = phase, .cost_ns = cost_ns};
    for (ValueIndex v : inputs) last_use_[v] = now();
    op.inputs = std::move(inputs);
    for (Bytes bytes : sizes) op.outputs.push_back(add({.bytes = bytes, .producer = now()}));
    const ValueIndex first = op.outputs.front();
    graph_.events.push_back(std::move(op));
    return first;
  }

  // A forward op; backward wants its inputs if `saves_inputs`, and all outputs but the first.
  ValueIndex forward(const std::string& name, std::vector<ValueIndex> inputs,
                     const std::vector<Bytes>& sizes, Nanoseconds cost_ns, bool saves_inputs,
                     ValueIndex weight = kNone) {
    Taped taped{.name = name, .data_inputs = inputs, .weight = weight, .cost_ns = cost_ns};
    if (weight != kNone) inputs.push_back(weight);
    const ValueIndex first =
        run("aten::" + name, Phase::kForward, std::move(inputs), sizes, cost_ns);
    for (std::size_t i = 0; i < sizes.size(); ++i)
      taped.outputs.push_back(first + static_cast<ValueIndex>(i));
    if (saves_inputs) taped.saved = taped.data_inputs;
    // The first output goes on; masks, means and sums are made for backward alone.
    taped.saved.insert(taped.saved.end(), taped.outputs.begin() + 1, taped.outputs.end());
    for (ValueIndex v : taped.saved) {
      graph_.values[v].category = Category::kActivation;
      graph_.values[v].handles.push_back({num_handles_, now() - 1, now()});
      taped.handles.push_back(num_handles_++);
    }
    tape_.push_back(std::move(taped));
    return first;
  }

  ValueIndex product(ValueIndex x, Bytes bytes, int num_squares) {
    const ValueIndex weight = source(num_squares * kWeight, Category::kParameter);
    weights_.push_back(weight);
    return forward("mm", {x}, {bytes}, num_squares * kProduct, true, weight);
  }
  ValueIndex dropout(ValueIndex x) {
    return forward("native_dropout", {x}, {kHidden, kHidden / 4}, 3 * kElementwise, false);
  }
  ValueIndex norm(ValueIndex x) {
    return forward("native_layer_norm", {x}, {kHidden, kToken, kToken}, 2 * kElementwise, true);
  }
  ValueIndex sum(ValueIndex x, ValueIndex y) {
    return forward("add", {x, y}, {kHidden}, kElementwise, false);
  }
  ValueIndex block(ValueIndex x) {
    const ValueIndex qkv = product(norm(x), 3 * kHidden, 3);
    const ValueIndex mixed = forward("attention", {qkv}, {kHidden, 8 * kToken}, kProduct, true);
    const ValueIndex y = sum(x, dropout(product(mixed, kHidden, 1)));
    const ValueIndex wide =
        forward("gelu", {product(norm(y), 4 * kHidden, 4)}, {4 * kHidden}, 4 * kElementwise, true);
    return sum(y, dropout(product(wide, kHidden, 4)));
  }

  void backward() {
    gradients_.assign(graph_.values.size(), kNone);
    const ValueIndex loss = tape_.back().outputs.front();
    gradients_[loss] = run("aten::ones_like", Phase::kBackward, {loss}, {kHidden}, kElementwise);
    for (const Taped& taped : std::views::reverse(tape_)) backward(taped);
  }
  void backward(const Taped& taped) {
    if (!taped.saved.empty()) unpack(taped);
    std::vector<ValueIndex> inputs = taped.saved;
    inputs.push_back(gradients_[taped.outputs.front()]);
    std::vector<Bytes> sizes;
    sizes.reserve(taped.data_inputs.size() + 1);
    for (ValueIndex v : taped.data_inputs) sizes.push_back(graph_.values[v].bytes);
    if (taped.weight != kNone) sizes.push_back(graph_.values[taped.weight].bytes);
    ValueIndex next = run("aten::" + taped.name + "_backward", Phase::kBackward, std::move(inputs),
                          sizes, 2 * taped.cost_ns);
    // A value read twice keeps the gradient made last; the sums would add nothing here.
    for (ValueIndex v : taped.data_inputs) gradients_[v] = next++;
    if (taped.weight != kNone) weight_gradients_.emplace_back(taped.weight, next);
  }
  void unpack(const Taped& taped) {
    for (std::size_t i = 0; i < taped.saved.size(); ++i) {
      Value& value = graph_.values[taped.saved[i]];
      const auto own = [&](const Handle& h) { return h.number == taped.handles[i]; };
      std::ranges::find_if(value.handles, own)->released_at = now() + 2;
      served_.emplace_back(taped.saved[i], now());
    }
    graph_.events.push_back({.kind = EventKind::kUnpack,
                             .name = taped.name + "Backward0",
                             .phase = Phase::kBackward,
                             .handles = taped.handles,
                             .values = taped.saved});
  }
  void optimize() {
    for (const auto& [weight, gradient] : weight_gradients_) {
      Value next = graph_.values[weight];
      next.producer = graph_.values[weight].overwritten_at = now();
      ++next.version;
      const ValueIndex written = graph_.num_values();
      last_use_[weight] = last_use_[gradient] = now();
      graph_.values.push_back(std::move(next));
      last_use_.push_back(now());
      graph_.events.push_back({.name = "aten::add_",
                               .phase = Phase::kOptimizer,
                               .cost_ns = kElementwise,
                               .inputs = {weight, gradient},
                               .outputs = {written},
                               .in_place = {{weight, written}}});
    }
  }

  // The program's holds: forward to the last forward use, then from each unpack to its op.
  void finish() {
    std::vector<std::vector<EventIndex>> unpacked(graph_.values.size());
    for (const auto& [v, at] : served_) unpacked[v].push_back(at);
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
      Value& value = graph_.values[v];
      const EventIndex begin = std::max(value.producer, 0);
      EventIndex end = last_use_[v] + 1;
      if (!unpacked[v].empty()) end = last_forward_use(v) + 1;
      if (value.persistent && value.overwritten_at == kNone) end = now();
      if (value.overwritten_at != kNone) end = value.overwritten_at;
      value.holds = {{begin, end}};
      for (EventIndex at : unpacked[v]) value.holds.push_back({at, at + 2});
    }
  }
  EventIndex last_forward_use(ValueIndex v) const {
    EventIndex last = graph_.values[v].producer;
    for (const Taped& taped : tape_)
      if (std::ranges::find(taped.data_inputs, v) != taped.data_inputs.end())
        last = std::max(last, graph_.values[taped.outputs.front()].producer);
    return last;
  }

  StepGraph graph_;
  BlockIndex num_blocks_ = 0;
  HandleNumber num_handles_ = 0;
  std::vector<Taped> tape_;
  std::vector<ValueIndex> weights_;
  std::vector<std::pair<ValueIndex, ValueIndex>> weight_gradients_;
  std::vector<ValueIndex> gradients_;                      // of each value, kNone before it
  std::vector<std::pair<ValueIndex, EventIndex>> served_;  // values and their unpacks
  std::vector<EventIndex> last_use_;
};

}  // namespace

StepGraph synthetic_step(int num_ops) { return Builder().build(num_ops); }

}  // namespace tidemark::benchmarks
