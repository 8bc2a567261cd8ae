#include "tidemark/generate/backward_pass.h"

#include <algorithm>

namespace tidemark {

BackwardPass::BackwardPass(StepBuilder& step) : step_(step) {
  for (const Node& node : step_.nodes_)
    of_node_.emplace_back(static_cast<std::size_t>(node.num_outputs));
  of_parameter_.resize(step_.parameters_.size());
}

void BackwardPass::run(const Tensor& loss) {
  step_.scope_.clear();
  // ones_like runs before there is a graph task.
  Event& seed = step_.add_op("aten::ones_like", Phase::kForward, {loss.value});
  const ValueIndex one = step_.add_value(
      {.bytes = loss.bytes(), .category = Category::kTemp, .producer = step_.now() - 1});
  seed.outputs = {one};
  step_.set_cost(seed, 0, 0);
  num_references_.resize(step_.graph_.values.size(), 0);
  num_references_[one] = 1;
  of_node_[loss.node][loss.output] = {one, loss.bytes()};
  for (int node = loss.node; node >= 0; --node) run_node(node);
}

BackwardPass::Gradient& BackwardPass::buffer_of(const Edge& edge) {
  return edge.node != kNone ? of_node_[edge.node][edge.output] : of_parameter_[edge.parameter];
}

void BackwardPass::let_go(ValueIndex gradient) {
  --num_references_[gradient];
  EventIndex& end = step_.held_until_[gradient];
  end = std::max(end, step_.now());
}

void BackwardPass::unpack(const Node& node) {
  if (node.handles.empty()) return;
  Event event{.kind = EventKind::kUnpack,
              .name = node.name,
              .phase = Phase::kBackward,
              .scope = node.scope,
              .handles = node.handles};
  for (ValueIndex v : node.saved)
    if (std::ranges::find(event.values, v) == event.values.end()) event.values.push_back(v);
  step_.graph_.events.push_back(std::move(event));
}

void BackwardPass::run_op(const Node& node, const BackwardOp& op,
                          const std::vector<ValueIndex>& incoming) {
  std::vector<int> made;
  for (int input : op.makes)
    if (node.inputs[input].requires_grad) made.push_back(input);
  if (made.empty()) return;
  std::vector<ValueIndex> reads = incoming;
  for (const Operand& operand : op.reads) {
    const auto same = [&](const Operand& saved) {
      return saved.is_output == operand.is_output && saved.index == operand.index;
    };
    const auto place = std::ranges::find_if(node.saves, same) - node.saves.begin();
    const ValueIndex v = node.saved[place];
    if (std::ranges::find(reads, v) == reads.end()) reads.push_back(v);
  }
  step_.add_op(op.name, Phase::kBackward, std::move(reads));
  const EventIndex at = step_.now() - 1;
  for (int input : made) {
    const Bytes bytes = node.inputs[input].bytes();
    const ValueIndex v =
        step_.add_value({.bytes = bytes, .category = Category::kTemp, .producer = at});
    step_.graph_.events[at].outputs.push_back(v);
    num_references_.resize(step_.graph_.values.size(), 0);
    num_references_[v] = 1;
    deliveries_.push_back({node.edges[input], {v, bytes}});
    for (const auto& [other, shared] : op.shares) {
      if (shared != input) continue;
      deliveries_.push_back({node.edges[other], {v, bytes}});
      ++num_references_[v];
    }
  }
  // A gradient that nobody asked for costs nothing.
  const double share = static_cast<double>(made.size()) / static_cast<double>(op.makes.size());
  step_.set_cost(step_.graph_.events[at], op.flops * share, 0);
}

void BackwardPass::run_formula(const Node& node, const std::vector<ValueIndex>& incoming) {
  const EventIndex unpacked_at = step_.now();
  unpack(node);
  for (const BackwardOp& op : node.backward)
    if (!op.is_after_return) run_op(node, op, incoming);
  const EventIndex returned_at = step_.now();
  for (const BackwardOp& op : node.backward)
    if (op.is_after_return) run_op(node, op, incoming);
  if (!node.handles.empty()) release(node, unpacked_at, returned_at);
}

void BackwardPass::release(const Node& node, EventIndex unpacked_at, EventIndex returned_at) {
  for (std::size_t i = 0; i < node.saved.size(); ++i) {
    const ValueIndex v = node.saved[i];
    const auto own = [&](const Handle& h) { return h.number == node.handles[i]; };
    std::ranges::find_if(step_.graph_.values[v].handles, own)->released_at = step_.now();
    auto& holds = step_.later_holds_[v];
    if (holds.empty() || holds.back().begin != unpacked_at)
      holds.push_back({unpacked_at, returned_at});
  }
}

void BackwardPass::run_node(int index) {
  const Node& node = step_.nodes_[index];
  std::vector<ValueIndex> incoming;
  for (const Gradient& gradient : of_node_[index])
    if (gradient.value != kNone) incoming.push_back(gradient.value);
  if (incoming.empty()) return;
  step_.scope_ = node.scope;
  deliveries_.clear();
  run_formula(node, incoming);
  for (int input : node.passes_gradient) {
    if (!node.inputs[input].requires_grad) continue;
    deliveries_.push_back(
        {node.edges[input], {of_node_[index].front().value, node.inputs[input].bytes()}});
    ++num_references_[of_node_[index].front().value];
  }
  for (ValueIndex gradient : incoming) let_go(gradient);
  for (const Delivery& delivery : deliveries_) deliver(delivery);
}

void BackwardPass::deliver(const Delivery& delivery) {
  Gradient& buffer = buffer_of(delivery.edge);
  buffer = buffer.value == kNone ? delivery.gradient : add(buffer, delivery.gradient);
  if (delivery.edge.node == kNone) step_.graph_.values[buffer.value].category = Category::kGradient;
}

BackwardPass::Gradient BackwardPass::add(const Gradient& old, const Gradient& more) {
  const bool is_whole = step_.graph_.values[old.value].bytes == old.bytes;
  const bool is_in_place = is_whole && num_references_[old.value] == 1;
  std::vector<ValueIndex> reads{old.value};
  if (more.value != old.value) reads.push_back(more.value);
  step_.add_op(is_in_place ? "aten::add_.Tensor" : "aten::add.Tensor", Phase::kBackward,
               std::move(reads));
  const EventIndex at = step_.now() - 1;
  Gradient sum{.bytes = old.bytes};
  if (is_in_place) {
    sum.value = step_.write_over(old.value, at);
  } else {
    sum.value = step_.add_value({.bytes = old.bytes, .category = Category::kTemp, .producer = at});
    step_.graph_.events[at].outputs.push_back(sum.value);
  }
  num_references_.resize(step_.graph_.values.size(), 0);
  num_references_[sum.value] = 1;
  step_.set_cost(step_.graph_.events[at], 0, 0);
  let_go(old.value);
  let_go(more.value);
  return sum;
}

}  // namespace tidemark
