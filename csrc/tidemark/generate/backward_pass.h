// BackwardPass: walks the backward nodes of a step in the making as torch's engine does.
//
// Nodes run latest first; a gradient waits in the buffer of the node (or parameter) that it is for.
// Part of StepBuilder; not installed as interface.
#pragma once

#include <vector>

#include "tidemark/generate/step_builder.h"

namespace tidemark {

class BackwardPass {
 public:
  explicit BackwardPass(StepBuilder& step);

  void run(const Tensor& loss);

  // Returns the gradient of the parameter, or kNone.
  ValueIndex gradient_of(int parameter) const { return of_parameter_[parameter].value; }

 private:
  using Edge = StepBuilder::Edge;
  using Node = StepBuilder::Node;
  // A gradient in a buffer. A part of a larger one (a view) keeps all of it alive.
  struct Gradient {
    ValueIndex value = kNone;
    Bytes bytes = 0;
  };
  struct Delivery {
    Edge edge;
    Gradient gradient;
  };

  void run_node(int index);
  void unpack(const Node& node);
  void run_formula(const Node& node, const std::vector<ValueIndex>& incoming);
  void run_op(const Node& node, const BackwardOp& op, const std::vector<ValueIndex>& incoming);
  void release(const Node& node, EventIndex unpacked_at, EventIndex returned_at);
  void deliver(const Delivery& delivery);
  Gradient add(const Gradient& old, const Gradient& more);
  Gradient& buffer_of(const Edge& edge);
  void let_go(ValueIndex gradient);

  StepBuilder& step_;
  std::vector<std::vector<Gradient>> of_node_;  // per node and output
  std::vector<Gradient> of_parameter_;
  std::vector<int> num_references_;   // per value: buffers and messages that hold it
  std::vector<Delivery> deliveries_;  // what the node at hand sends
};

}  // namespace tidemark
