// Training steps from a seed: forward, backward and optimizer events with holds, handles, in-place
// ops, ops that replay in place, ops of several outputs, dropout masks, batch norm statistics and
// pinned ops.
//
// The same seed gives the same graph on every platform (no std distributions).
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tidemark/graph/graph.h"

namespace tidemark::testing {

struct RandomGraphOptions {
  int num_ops = 10;       // forward ops
  int skip_percent = 20;  // ops that also read an older value
  bool with_pinned = true;
  bool with_in_place = true;
  bool has_runtime_actions = true;
};

class RandomGraph {
 public:
  RandomGraph(std::uint32_t seed, RandomGraphOptions options) : random_(seed), options_(options) {}

  StepGraph make() {
    graph_.has_runtime_actions = options_.has_runtime_actions;
    graph_.entry.other_bytes = below(3) * 8;
    stream_.push_back(source(bytes(), Category::kOther));
    for (int i = 0; i < options_.num_ops; ++i) forward_op();
    gradient_[stream_.back()] =
        op("ones_like", Phase::kBackward, {stream_.back()}, {graph_.values[stream_.back()].bytes});
    for (auto record = records_.rbegin(); record != records_.rend(); ++record) backward(*record);
    for (ValueIndex parameter : parameters_) update(parameter);
    finish();
    return graph_;
  }

 private:
  struct Record {
    std::vector<ValueIndex> data_inputs;
    ValueIndex parameter = kNone;
    ValueIndex output = kNone;
    std::vector<ValueIndex> saved;
    std::vector<HandleNumber> handles;
  };

  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint32_t>(n)); }
  bool percent(int p) { return below(100) < p; }
  Bytes bytes() { return 8 * (1 + below(32)); }

  ValueIndex add(Value value) {
    value.holds = {};
    graph_.values.push_back(std::move(value));
    last_use_.push_back(now());
    return graph_.num_values() - 1;
  }
  EventIndex now() const { return graph_.num_events(); }

  ValueIndex source(Bytes size, Category category) {
    const bool stays = category != Category::kOther;
    const ValueIndex v =
        add({.block = num_blocks_, .bytes = size, .category = category, .persistent = stays});
    graph_.entry.blocks.push_back(num_blocks_++);
    graph_.entry.bytes_by_category[static_cast<int>(category)] += size;
    return v;
  }

  Event& begin_op(std::string name, Phase phase, const std::vector<ValueIndex>& inputs) {
    for (ValueIndex v : inputs) use(v);
    graph_.events.push_back({.kind = EventKind::kOp, .name = std::move(name), .phase = phase});
    Event& event = graph_.events.back();
    event.cost_ns = 10 + below(1000);
    event.workspace_bytes = percent(25) ? bytes() : 0;
    event.inputs = inputs;
    return event;
  }

  // Returns the first output.
  ValueIndex op(std::string name, Phase phase, std::vector<ValueIndex> inputs,
                const std::vector<Bytes>& outputs) {
    std::sort(inputs.begin(), inputs.end());
    inputs.erase(std::unique(inputs.begin(), inputs.end()), inputs.end());
    const EventIndex at = now();
    begin_op(std::move(name), phase, inputs);
    for (Bytes size : outputs) {
      const ValueIndex v = add({.block = num_blocks_++, .bytes = size, .producer = at});
      last_use_[v] = at;
      graph_.events[at].outputs.push_back(v);
    }
    return graph_.events[at].outputs.front();
  }

  ValueIndex write(std::string name, Phase phase, ValueIndex target,
                   std::vector<ValueIndex> others) {
    const EventIndex at = now();
    others.insert(others.begin(), target);
    begin_op(std::move(name), phase, others);
    return overwrite(at, target);
  }

  ValueIndex overwrite(EventIndex at, ValueIndex target) {
    Value next = graph_.values[target];
    next.producer = at;
    next.version += 1;
    next.handles.clear();
    next.overwritten_at = kNone;
    graph_.values[target].overwritten_at = at;
    use_at(target, at);
    const ValueIndex v = add(std::move(next));
    last_use_[v] = at;
    graph_.events[at].outputs.push_back(v);
    graph_.events[at].in_place.push_back({target, v});
    return v;
  }

  void use(ValueIndex v) { use_at(v, now()); }
  void use_at(ValueIndex v, EventIndex at) {
    last_use_[v] = std::max(last_use_[v], at);
    uses_[v].push_back(at);
  }

  void save(Record& record, ValueIndex v) {
    if (std::find(record.saved.begin(), record.saved.end(), v) != record.saved.end()) return;
    record.saved.push_back(v);
    const HandleNumber number = num_handles_++;
    record.handles.push_back(number);
    graph_.values[v].handles.push_back({.number = number, .packed_at = now() - 1});
    handle_value_[number] = v;
  }

  void forward_op() {
    Record record;
    const ValueIndex x = stream_.back();
    record.data_inputs = {x};
    if (stream_.size() > 2 && percent(options_.skip_percent))
      record.data_inputs.push_back(stream_[below(static_cast<int>(stream_.size()) - 1)]);
    std::erase_if(record.data_inputs,
                  [&](ValueIndex v) { return graph_.values[v].overwritten_at != kNone; });
    const int kind = below(6);
    if (kind == 0 && options_.with_in_place && can_write(x)) {
      record.output = write("relu_", Phase::kForward, x, {});
      record.data_inputs = {x};
      if (record.output != kNone) save(record, record.output);
    } else if (kind == 1) {  // dropout: saves its mask, not its input
      const Bytes size = graph_.values[x].bytes;
      record.output = op("dropout", Phase::kForward, record.data_inputs, {size, 1 + size / 4});
      graph_.events.back().rng = true;
      save(record, graph_.events.back().outputs[1]);
    } else if (kind == 2) {  // norm: saves its input and two small results
      record.parameter = parameter();
      auto inputs = record.data_inputs;
      inputs.push_back(record.parameter);
      record.output = op("norm", Phase::kForward, inputs, {graph_.values[x].bytes, 8, 8});
      save(record, x);
      save(record, graph_.events.back().outputs[1]);
      save(record, graph_.events.back().outputs[2]);
      if (percent(30)) count_statistic();
    } else if (kind == 3) {  // elementwise: saves its output
      record.output = op("tanh", Phase::kForward, record.data_inputs, {graph_.values[x].bytes});
      if (options_.with_in_place) graph_.events.back().replays_in_place = {{x, record.output}};
      save(record, record.output);
    } else {
      record.parameter = parameter();
      auto inputs = record.data_inputs;
      inputs.push_back(record.parameter);
      record.output = op("mm", Phase::kForward, inputs, {bytes()});
      for (ValueIndex v : record.data_inputs) save(record, v);
      save(record, record.parameter);
    }
    if (options_.with_pinned && percent(4)) graph_.events.back().pinned = "collective";
    stream_.push_back(record.output);
    records_.push_back(std::move(record));
  }

  // Only a value that nobody saved and that this step made may be written in place.
  bool can_write(ValueIndex v) const {
    return graph_.values[v].producer != kNone && graph_.values[v].handles.empty() &&
           stream_.size() > 1;
  }

  void count_statistic() {
    const ValueIndex statistic = source(8, Category::kBuffer);
    const EventIndex at = now() - 1;
    graph_.events[at].inputs.push_back(statistic);
    overwrite(at, statistic);
  }

  ValueIndex parameter() {
    parameters_.push_back(source(bytes(), Category::kParameter));
    return parameters_.back();
  }

  void backward(const Record& record) {
    const auto found = gradient_.find(record.output);
    if (found == gradient_.end()) return;
    const ValueIndex gradient = found->second;
    std::vector<ValueIndex> inputs{gradient};
    EventIndex unpack = kNone;
    if (!record.handles.empty() && options_.has_runtime_actions) {
      unpack = now();
      graph_.events.push_back({.kind = EventKind::kUnpack,
                               .name = "Backward0",
                               .phase = Phase::kBackward,
                               .handles = record.handles,
                               .values = record.saved});
      for (ValueIndex v : record.saved) use_at(v, unpack);
    }
    inputs.insert(inputs.end(), record.saved.begin(), record.saved.end());
    for (ValueIndex x : record.data_inputs) {
      const ValueIndex made = op("backward", Phase::kBackward, inputs, {graph_.values[x].bytes});
      const auto before = gradient_.find(x);
      gradient_[x] = before == gradient_.end() ? made
                                               : op("add", Phase::kBackward, {before->second, made},
                                                    {graph_.values[x].bytes});
    }
    if (record.parameter != kNone)
      parameter_gradient_[record.parameter] =
          op("sum", Phase::kBackward, {gradient}, {graph_.values[record.parameter].bytes});
    // Handles go with the node, after its last op.
    for (HandleNumber number : record.handles)
      for (Handle& handle : graph_.values[handle_value_[number]].handles)
        if (handle.number == number) handle.released_at = now();
  }

  void update(ValueIndex parameter) {
    const auto gradient = parameter_gradient_.find(parameter);
    if (gradient != parameter_gradient_.end())
      write("sgd_", Phase::kOptimizer, parameter, {gradient->second});
  }

  // Holds: from production to the last forward use; then from each unpack to the last use of the
  // ops that follow it. Elsewhere every use is a hold.
  void finish() {
    const EventIndex n = now();
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
      Value& value = graph_.values[v];
      for (Handle& handle : value.handles)
        if (handle.released_at == 0) handle.released_at = n;
      const EventIndex begin = std::max(value.producer, 0);
      const bool stays = value.persistent && value.overwritten_at == kNone;
      if (value.producer == kNone || stays) {
        value.holds = {{begin, stays ? n : std::max(last_use_[v], begin) + 1}};
        continue;
      }
      value.holds = {{begin, begin + 1}};
      for (EventIndex at : uses_[v]) extend(value, at);
    }
    if (!options_.has_runtime_actions)
      for (Value& value : graph_.values) value.handles.clear();
  }

  void extend(Value& value, EventIndex at) {
    const Event& event = graph_.events[at];
    const bool is_new = options_.has_runtime_actions ? event.kind == EventKind::kUnpack : true;
    Interval& last = value.holds.back();
    if (at < last.end) return;
    if (is_new && at >= last.end)
      value.holds.push_back({at, at + 1});
    else
      last.end = at + 1;
  }

  std::mt19937 random_;
  RandomGraphOptions options_;
  StepGraph graph_;
  std::vector<Record> records_;
  std::vector<ValueIndex> stream_;
  std::vector<ValueIndex> parameters_;
  std::vector<EventIndex> last_use_;
  std::map<ValueIndex, std::vector<EventIndex>> uses_;
  std::map<ValueIndex, ValueIndex> gradient_;
  std::map<ValueIndex, ValueIndex> parameter_gradient_;
  std::map<HandleNumber, ValueIndex> handle_value_;
  BlockIndex num_blocks_ = 0;
  HandleNumber num_handles_ = 0;
};

inline StepGraph random_graph(std::uint32_t seed, RandomGraphOptions options = {}) {
  return RandomGraph(seed, options).make();
}

}  // namespace tidemark::testing
