#include "tidemark/generate/step_builder.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "tidemark/base/error.h"
#include "tidemark/generate/backward_pass.h"

namespace tidemark {
namespace {

std::string shape_text(const Tensor& tensor) {
  std::string text = (tensor.element_bytes == 8   ? "i64["
                      : tensor.element_bytes == 4 ? "f32["
                      : tensor.element_bytes == 2 ? "bf16["
                                                  : "b8[");
  for (std::size_t i = 0; i < tensor.shape.size(); ++i)
    text += (i == 0 ? "" : ",") + std::to_string(tensor.shape[i]);
  return text + "]";
}

void append_unique(std::vector<ValueIndex>& list, ValueIndex v) {
  if (std::ranges::find(list, v) == list.end()) list.push_back(v);
}

}  // namespace

std::int64_t Tensor::numel() const {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

StepBuilder::Scope::Scope(StepBuilder& step, std::string_view name)
    : step_(step), length_(step.scope_.size()) {
  if (!step_.scope_.empty()) step_.scope_ += '.';
  step_.scope_ += name;
}

StepBuilder::StepBuilder(StepBuilderOptions options) : options_(std::move(options)) {
  graph_.device = options_.device.name;
  graph_.recorded_by = "tidemark generate, costs: " + options_.device.source;
  graph_.is_estimate = true;
}

ValueIndex StepBuilder::add_value(Value value) {
  if (value.version == 0) value.block = num_blocks_++;
  held_until_.push_back(value.producer == kNone ? 0 : value.producer + 1);
  later_holds_.emplace_back();
  parameter_of_.push_back(kNone);
  graph_.values.push_back(std::move(value));
  return graph_.num_values() - 1;
}

Tensor StepBuilder::source(Shape shape, int element_bytes, Category category, std::string scope) {
  Tensor tensor{.shape = std::move(shape), .element_bytes = element_bytes};
  tensor.value = add_value({.bytes = tensor.bytes(),
                            .category = category,
                            .persistent = true,
                            .scope = std::move(scope)});
  graph_.entry.blocks.push_back(graph_.values[tensor.value].block);
  graph_.entry.bytes_by_category[static_cast<int>(category)] += tensor.bytes();
  return tensor;
}

Tensor StepBuilder::input(Shape shape, int element_bytes) {
  if (element_bytes == 0) element_bytes = options_.element_bytes;
  return source(std::move(shape), element_bytes, Category::kOther, scope_);
}

Tensor StepBuilder::parameter(Shape shape, std::string_view name) {
  std::string path = scope_ + (scope_.empty() ? "" : ".") + std::string(name);
  Tensor tensor = source(std::move(shape), options_.element_bytes, Category::kParameter, path);
  tensor.requires_grad = true;
  parameter_of_[tensor.value] = static_cast<int>(parameters_.size());
  parameters_.push_back({tensor, std::move(path)});
  return tensor;
}

Tensor StepBuilder::buffer(Shape shape, std::string_view name) {
  return source(std::move(shape), 4, Category::kBuffer, scope_ + "." + std::string(name));
}

Event& StepBuilder::add_op(std::string name, Phase phase, std::vector<ValueIndex> inputs) {
  for (ValueIndex v : inputs)
    if (phase != Phase::kBackward) held_until_[v] = std::max(held_until_[v], now() + 1);
  graph_.events.push_back({.name = std::move(name), .phase = phase, .scope = scope_});
  graph_.events.back().inputs = std::move(inputs);
  return graph_.events.back();
}

void StepBuilder::set_cost(Event& op, double flops, std::int64_t random_numbers) const {
  OpWork work{.flops = flops, .random_numbers = static_cast<double>(random_numbers)};
  for (const auto* list : {&op.inputs, &op.outputs})
    for (ValueIndex v : *list) work.bytes += static_cast<double>(graph_.values[v].bytes);
  op.cost_ns = cost_of(work, options_.device, options_.element_bytes);
  op.rng = random_numbers > 0;
}

ValueIndex StepBuilder::write_over(ValueIndex v, EventIndex at) {
  Value next = graph_.values[v];
  graph_.values[v].overwritten_at = at;
  next.producer = at;
  ++next.version;
  next.handles.clear();
  const ValueIndex written = add_value(std::move(next));
  parameter_of_[written] = parameter_of_[v];
  graph_.events[at].outputs.push_back(written);
  graph_.events[at].in_place.push_back({v, written});
  return written;
}

// Not over a part of a storage, which is larger, nor over what the op reads twice.
void StepBuilder::note_replay_over(const OpSpec& op, int input, ValueIndex output) {
  const ValueIndex v = op.inputs[input].value;
  const auto num_reads = std::ranges::count(op.inputs, v, &Tensor::value);
  if (num_reads == 1 && graph_.values[v].bytes == graph_.values[output].bytes)
    graph_.events.back().replays_in_place.push_back({v, output});
}

Tensor StepBuilder::make_output(const OpSpec& op, std::size_t index) {
  const OutputSpec& spec = op.outputs[index];
  const EventIndex at = now() - 1;
  Tensor tensor{.shape = spec.shape,
                .element_bytes = spec.element_bytes ? spec.element_bytes : element_bytes()};
  if (spec.written_input != kNone) {
    tensor.value = write_over(op.inputs[spec.written_input].value, at);
  } else {
    tensor.value = add_value(
        {.bytes = tensor.bytes(), .category = Category::kTemp, .producer = at, .scope = scope_});
    graph_.events[at].outputs.push_back(tensor.value);
    if (spec.replay_over != kNone) note_replay_over(op, spec.replay_over, tensor.value);
  }
  graph_.events[at].shapes.push_back(shape_text(tensor));
  return tensor;
}

std::vector<Tensor> StepBuilder::apply(OpSpec op) {
  std::vector<ValueIndex> inputs;
  bool requires_grad = false;
  for (const Tensor& tensor : op.inputs) {
    append_unique(inputs, tensor.value);
    requires_grad |= tensor.requires_grad;
  }
  add_op(op.name, Phase::kForward, std::move(inputs));
  std::vector<Tensor> outputs;
  for (std::size_t i = 0; i < op.outputs.size(); ++i) outputs.push_back(make_output(op, i));
  set_cost(graph_.events.back(), op.flops, op.random_numbers);
  if (!requires_grad || op.node.empty()) return outputs;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    outputs[i].requires_grad = true;
    outputs[i].node = static_cast<int>(nodes_.size());
    outputs[i].output = static_cast<int>(i);
  }
  record_node(std::move(op), outputs);
  return outputs;
}

std::vector<Tensor> StepBuilder::split(const Tensor& x, std::vector<Shape> parts) {
  std::vector<Tensor> outputs;
  for (Shape& shape : parts) {
    Tensor part = x;
    part.shape = std::move(shape);
    part.node = x.requires_grad ? static_cast<int>(nodes_.size()) : kNone;
    part.output = static_cast<int>(outputs.size());
    outputs.push_back(std::move(part));
  }
  if (x.requires_grad) {
    OpSpec op{.inputs = {x}, .node = "SplitBackward0", .backward = {{"aten::cat", {}, {0}}}};
    record_node(std::move(op), outputs);
  }
  return outputs;
}

StepBuilder::Edge StepBuilder::edge_of(const Tensor& tensor) const {
  if (!tensor.requires_grad) return {};
  if (tensor.node == kNone) return {.parameter = parameter_of_[tensor.value]};
  return {.node = tensor.node, .output = tensor.output};
}

void StepBuilder::record_node(OpSpec op, const std::vector<Tensor>& outputs) {
  Node node{.name = std::move(op.node), .scope = scope_, .saves = std::move(op.saves)};
  const EventIndex at = now() - 1;
  for (const Operand& operand : node.saves) {
    const Tensor& tensor = operand.is_output ? outputs[operand.index] : op.inputs[operand.index];
    Value& value = graph_.values[tensor.value];
    // Inputs are packed before the op is an event, outputs after.
    const EventIndex packed_at = operand.is_output ? at : std::max({at - 1, value.producer, 0});
    value.handles.push_back({num_handles_, packed_at, packed_at + 1});
    if (value.producer != kNone) value.category = Category::kActivation;
    node.saved.push_back(tensor.value);
    node.handles.push_back(num_handles_++);
  }
  for (const Tensor& tensor : op.inputs) node.edges.push_back(edge_of(tensor));
  node.inputs = std::move(op.inputs);
  node.backward = std::move(op.backward);
  node.passes_gradient = std::move(op.passes_gradient);
  node.num_outputs = static_cast<int>(outputs.size());
  nodes_.push_back(std::move(node));
}

void StepBuilder::optimize(const Parameter& parameter, ValueIndex gradient) {
  const ValueIndex weight = parameter.tensor.value;
  scope_ = parameter.name;
  if (options_.optimizer == Optimizer::kSgd) {
    add_op("aten::add_.Tensor", Phase::kOptimizer, {weight, gradient});
    write_over(weight, now() - 1);
  } else {
    const Shape& shape = parameter.tensor.shape;
    const ValueIndex mean = source(shape, 4, Category::kOptstate, scope_ + ".exp_avg").value;
    const ValueIndex square = source(shape, 4, Category::kOptstate, scope_ + ".exp_avg_sq").value;
    add_op("aten::_fused_adamw_", Phase::kOptimizer, {weight, gradient, mean, square});
    for (ValueIndex v : {weight, mean, square}) write_over(v, now() - 1);
  }
  set_cost(graph_.events.back(), 0, 0);
}

StepGraph StepBuilder::finish(const Tensor& loss) {
  TIDEMARK_CHECK_VALUE(loss.requires_grad, "the loss depends on no parameter");
  BackwardPass pass(*this);
  pass.run(loss);
  if (options_.optimizer != Optimizer::kNothing) {
    for (std::size_t p = 0; p < parameters_.size(); ++p)
      if (pass.gradient_of(static_cast<int>(p)) != kNone)
        optimize(parameters_[p], pass.gradient_of(static_cast<int>(p)));
  }
  // The program's own variable, and what zero_grad() lets go after the last event.
  held_until_[loss.value] = now();
  for (std::size_t p = 0; p < parameters_.size(); ++p)
    if (pass.gradient_of(static_cast<int>(p)) != kNone)
      held_until_[pass.gradient_of(static_cast<int>(p))] = now();
  finish_holds();
  return std::move(graph_);
}

void StepBuilder::finish_holds() {
  for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
    Value& value = graph_.values[v];
    EventIndex end = value.persistent ? now() : held_until_[v];
    if (value.overwritten_at != kNone) end = value.overwritten_at;
    value.holds = {{std::max(value.producer, 0), end}};
    if (value.persistent) continue;
    // The program's own variable may outlive an unpack.
    for (const Interval& hold : later_holds_[v])
      if (hold.begin >= end) value.holds.push_back(hold);
  }
}

}  // namespace tidemark
