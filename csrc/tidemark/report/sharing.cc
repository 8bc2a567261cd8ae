#include "tidemark/report/sharing.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark {
namespace {

// A place of the result depends on the same place of the operands alone.
constexpr std::string_view kElementwise[] = {"add",
                                             "sub",
                                             "mul",
                                             "div",
                                             "neg",
                                             "masked_fill",
                                             "where",
                                             "pow",
                                             "sqrt",
                                             "rsqrt",
                                             "exp",
                                             "sigmoid",
                                             "tanh",
                                             "threshold_backward",
                                             "gelu_backward",
                                             "silu_backward",
                                             "mish_backward",
                                             "tanh_backward",
                                             "sigmoid_backward",
                                             "elu_backward",
                                             "leaky_relu_backward",
                                             "hardtanh_backward",
                                             "hardswish_backward",
                                             "hardsigmoid_backward",
                                             "softplus_backward",
                                             "log_sigmoid_backward",
                                             "native_dropout_backward"};

// "aten::mul.Tensor": "mul".
std::string_view base_name(std::string_view name) {
  const std::size_t colons = name.rfind("::");
  if (colons != std::string_view::npos) name.remove_prefix(colons + 2);
  return name.substr(0, name.find('.'));
}

bool is_elementwise(const Event& event) {
  return event.kind == EventKind::kOp &&
         std::ranges::find(kElementwise, base_name(event.name)) != std::end(kElementwise);
}

EventIndex end_of(const Value& value) { return value.holds.empty() ? 0 : value.holds.back().end; }

// Bytes by event, of values as the program holds them.
class Loads {
 public:
  explicit Loads(const StepGraph& graph) : steps_(graph.events.size() + 1) {}

  void add(EventIndex begin, EventIndex end, Bytes bytes) {
    if (begin >= end) return;
    steps_[begin] += bytes;
    steps_[end] -= bytes;
  }

  std::vector<Bytes> by_event() const {
    std::vector<Bytes> loads(steps_.size() - 1);
    Bytes load = 0;
    for (std::size_t e = 0; e < loads.size(); ++e) loads[e] = load += steps_[e];
    return loads;
  }

 private:
  std::vector<Bytes> steps_;
};

// One parameter's gradient.
struct Gradient {
  Bytes bytes = 0;
  EventIndex end = 0;
  EventIndex complete_at = kNone;  // the last event of the backward node that adds to it last
  bool is_old = false;             // a step before has begun it
  std::string module;
};

class GradientSharing {
 public:
  GradientSharing(const StepGraph& graph, const Simulation& simulation)
      : graph_(graph), simulation_(simulation) {}

  Sharing sharing() {
    find_gradients();
    Sharing result;
    measure_derivatives(result);
    for (const auto& [block, gradient] : gradients_) {
      if (gradient.complete_at != kNone) result.gradient_bytes += gradient.bytes;
    }
    result.in_place_peak_bytes = in_place_peak();
    result.by_parameter_peak_bytes = early_peak(complete_each());
    result.by_module_peak_bytes = early_peak(complete_with_module());
    return result;
  }

 private:
  using Times = std::map<BlockIndex, EventIndex>;

  const Event& event(EventIndex e) const { return graph_.events[e]; }
  bool is_backward(EventIndex e) const { return e != kNone && event(e).phase == Phase::kBackward; }

  // A node's ops end where the next node unpacks what it has saved.
  EventIndex end_of_node(EventIndex e) const {
    while (e + 1 < graph_.num_events() && is_backward(e + 1) &&
           event(e + 1).kind != EventKind::kUnpack)
      ++e;
    return e;
  }

  // That of the parameter, or of the op that makes the gradient; "" if neither is known.
  std::string module_of(const Value& gradient) const {
    if (!gradient.scope.empty()) return gradient.scope.substr(0, gradient.scope.rfind('.'));
    return gradient.producer == kNone ? "" : event(gradient.producer).scope;
  }

  void find_gradients() {
    for (const Value& value : graph_.values) {
      if (value.category != Category::kGradient) continue;
      const auto [place, is_first] = gradients_.try_emplace(value.block);
      Gradient& gradient = place->second;
      if (is_first) {
        gradient = {.bytes = value.bytes, .module = module_of(value)};
      }
      gradient.end = std::max(gradient.end, end_of(value));
      gradient.is_old |= value.producer == kNone;
      if (is_backward(value.producer))
        gradient.complete_at = std::max(gradient.complete_at, end_of_node(value.producer));
    }
  }

  void measure_derivatives(Sharing& result) const {
    Loads loads(graph_);
    std::set<BlockIndex> blocks;
    for (const Value& value : graph_.values) {
      if (value.category == Category::kGradient || !is_backward(value.producer)) continue;
      if (blocks.insert(value.block).second) result.derivative_bytes += value.bytes;
      for (const Interval& hold : value.holds) loads.add(hold.begin, hold.end, value.bytes);
    }
    const std::vector<Bytes> live = loads.by_event();
    if (!live.empty()) result.live_derivative_bytes = std::ranges::max(live);
  }

  // Whether the op may write over the value: it is as large, and nobody reads it again.
  bool dies_at(EventIndex e, ValueIndex v, Bytes bytes) const {
    const Value& value = graph_.values[v];
    return value.bytes == bytes && !value.persistent && value.producer != kNone &&
           value.overwritten_at == kNone && end_of(value) == e + 1;
  }

  Bytes in_place_peak() const {
    Bytes peak = 0;
    for (EventIndex e = 0; e < graph_.num_events(); ++e) {
      const Reading& reading = simulation_.curve[e];
      peak = std::max(peak, std::max(reading.before, reading.peak - saved_in_place(e)));
    }
    return peak;
  }

  Bytes saved_in_place(EventIndex e) const {
    const Event& op = event(e);
    if (op.phase != Phase::kBackward || !is_elementwise(op) || !op.in_place.empty()) return 0;
    if (op.outputs.size() != 1) return 0;
    const Bytes bytes = graph_.values[op.outputs.front()].bytes;
    const bool has_one =
        std::ranges::any_of(op.inputs, [&](ValueIndex v) { return dies_at(e, v, bytes); });
    return has_one ? bytes : 0;
  }

  Times complete_each() const {
    Times times;
    for (const auto& [block, gradient] : gradients_) times[block] = gradient.complete_at;
    return times;
  }

  Times complete_with_module() const {
    std::map<std::string_view, EventIndex> last;
    for (const auto& [block, gradient] : gradients_) {
      const auto [place, is_first] = last.try_emplace(gradient.module, gradient.complete_at);
      place->second = std::max(place->second, gradient.complete_at);
    }
    Times times = complete_each();
    for (auto& [block, time] : times) {
      const std::string& module = gradients_.at(block).module;
      if (time != kNone && !module.empty()) time = last.at(module);
    }
    return times;
  }

  // What the last step left and this one never reads has no category: gradients among it are told
  // by their sizes.
  void forget_old_gradients(Loads& gone) const {
    std::vector<char> is_read(graph_.values.size(), 0);
    for (const Event& event : graph_.events) {
      for (const ValueIndex v : event.inputs) is_read[v] = 1;
    }
    std::multiset<Bytes> sizes;
    for (const auto& [block, gradient] : gradients_) {
      if (gradient.complete_at != kNone) sizes.insert(gradient.bytes);
    }
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
      const Value& value = graph_.values[v];
      if (value.producer != kNone || value.persistent || is_read[v] != 0) continue;
      const auto same = sizes.find(value.bytes);
      if (same == sizes.end()) continue;
      sizes.erase(same);
      gone.add(0, end_of(value), value.bytes);
    }
  }

  // What this step makes is gone once it is complete, and so is what the last step made. A gradient
  // that older ones are added to is left as it is.
  Bytes early_peak(const Times& complete_at) const {
    Loads gone(graph_);
    forget_old_gradients(gone);
    for (const auto& [block, gradient] : gradients_) {
      const EventIndex complete = complete_at.at(block);
      if (complete != kNone && !gradient.is_old)
        gone.add(complete + 1, gradient.end, gradient.bytes);
    }
    const std::vector<Bytes> saved = gone.by_event();
    Bytes peak = 0;
    for (EventIndex e = 0; e < graph_.num_events(); ++e) {
      if (event(e).phase == Phase::kOptimizer) continue;
      peak = std::max(peak, simulation_.curve[e].peak - saved[e]);
    }
    return peak;
  }

  const StepGraph& graph_;
  const Simulation& simulation_;
  std::map<BlockIndex, Gradient> gradients_;
};

}  // namespace

Sharing sharing_of(const StepGraph& graph, const Simulation& simulation) {
  return GradientSharing(graph, simulation).sharing();
}

}  // namespace tidemark
