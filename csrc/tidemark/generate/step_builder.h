// StepBuilder: writes the StepGraph of a training step that nobody runs.
//
// A model is a sequence of apply() calls, one per leaf op as the dispatcher would see it. Each says
// what autograd saves and which ops its backward node runs; finish() then walks the nodes as
// torch's engine does (latest first) and works out unpacks, holds and handles:
//
//   - a forward value is held by the program to its last forward use, then only by its handles;
//   - a node unpacks all its saved tensors at once, holds them until its formula returns, and lets
//     go of its handles when it is done;
//   - a gradient dies when its node is done. Gradients that meet are added, in place where the
//     first is whole and nobody else refers to it;
//   - a parameter's gradient lives to the end of the step, after the optimizer.
//
//   StepBuilder step(options);
//   Tensor y = linear(step, step.input({32, 64}), 256);
//   StepGraph graph = step.finish(loss);
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/generate/optimizer.h"
#include "tidemark/graph/device_profile.h"
#include "tidemark/graph/graph.h"

namespace tidemark {

using Shape = std::vector<std::int64_t>;

// A tensor of the step in the making: dense, the whole of its storage.
struct Tensor {
  ValueIndex value = kNone;
  Shape shape;
  int element_bytes = 4;
  bool requires_grad = false;
  int node = kNone;  // the backward node that wants its gradient
  int output = 0;    // which output of that node's op it is

  std::int64_t numel() const;
  Bytes bytes() const { return numel() * element_bytes; }
};

// One of an op's own tensors.
struct Operand {
  bool is_output = false;
  int index = 0;
};
constexpr Operand in(int index) { return {false, index}; }
constexpr Operand out(int index) { return {true, index}; }

struct OutputSpec {
  Shape shape;
  int element_bytes = 0;      // 0: that of the step
  int written_input = kNone;  // the op writes this output over that input
  int replay_over = kNone;    // a replay may write this output over that input, place by place
};

// One op of a backward node. It reads the gradients that came in, and what else it names.
struct BackwardOp {
  std::string name;
  std::vector<Operand> reads;  // saved tensors
  std::vector<int> makes;      // inputs whose gradients it makes; others' are left out
  double flops = 0;
  bool is_after_return = false;  // a sum over a broadcast dimension: the formula's locals are gone
  std::vector<std::pair<int, int>> shares = {};  // (input, made input whose gradient it gets too)
};

// One op with its place in autograd.
struct OpSpec {
  std::string name;  // "aten::relu_"
  std::vector<Tensor> inputs;
  std::vector<OutputSpec> outputs;
  double flops = 0;
  std::int64_t random_numbers = 0;
  std::string node = {};  // "ReluBackward0"; "" where no gradient flows
  std::vector<Operand> saves = {};
  std::vector<BackwardOp> backward = {};
  std::vector<int> passes_gradient = {};  // inputs whose gradient is the output's own, or a view
};

struct StepBuilderOptions {
  DeviceProfile device;
  int element_bytes = 4;
  Optimizer optimizer = Optimizer::kSgd;
};

class TIDEMARK_API StepBuilder {
 public:
  explicit StepBuilder(StepBuilderOptions options);

  // Tensors that exist before the step.
  Tensor input(Shape shape, int element_bytes = 0);
  Tensor parameter(Shape shape, std::string_view name);
  Tensor buffer(Shape shape, std::string_view name);

  // Appends a forward op. Returns its outputs.
  std::vector<Tensor> apply(OpSpec op);

  // Returns parts of `x`, each with a gradient of its own. A view: no op until backward, which puts
  // the gradients together.
  std::vector<Tensor> split(const Tensor& x, std::vector<Shape> parts);

  // Names what is built while it lives: "layer1", inside of it "layer1.0".
  class Scope {
   public:
    Scope(StepBuilder& step, std::string_view name);
    ~Scope() { step_.scope_.resize(length_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    StepBuilder& step_;
    std::size_t length_;
  };

  int element_bytes() const noexcept { return options_.element_bytes; }
  const std::string& scope() const noexcept { return scope_; }

  // Runs backward from `loss` and the optimizer, and returns the step. The builder is spent.
  // REQUIRES: `loss` requires a gradient.
  StepGraph finish(const Tensor& loss);

 private:
  friend class BackwardPass;
  // Where a gradient goes: an output of a node's op, a parameter, or nowhere.
  struct Edge {
    int node = kNone;
    int output = 0;
    int parameter = kNone;
  };
  struct Node {
    std::string name;
    std::string scope;
    std::vector<Tensor> inputs;
    std::vector<Edge> edges;  // of the inputs
    std::vector<Operand> saves;
    std::vector<ValueIndex> saved;  // the values of `saves`
    std::vector<HandleNumber> handles;
    std::vector<BackwardOp> backward;
    std::vector<int> passes_gradient;
    int num_outputs = 0;
  };
  struct Parameter {
    Tensor tensor;
    std::string name;
  };

  EventIndex now() const { return graph_.num_events(); }
  ValueIndex add_value(Value value);
  Tensor source(Shape shape, int element_bytes, Category category, std::string scope);
  Tensor make_output(const OpSpec& op, std::size_t index);
  void note_replay_over(const OpSpec& op, int input, ValueIndex output);
  void record_node(OpSpec op, const std::vector<Tensor>& outputs);
  Edge edge_of(const Tensor& tensor) const;
  // Appends an op event that reads `inputs`; its outputs are added by the caller.
  Event& add_op(std::string name, Phase phase, std::vector<ValueIndex> inputs);
  void set_cost(Event& op, double flops, std::int64_t random_numbers) const;
  ValueIndex write_over(ValueIndex v, EventIndex at);
  void optimize(const Parameter& parameter, ValueIndex gradient);
  void finish_holds();

  StepBuilderOptions options_;
  StepGraph graph_;
  std::string scope_;
  BlockIndex num_blocks_ = 0;
  HandleNumber num_handles_ = 0;
  std::vector<Node> nodes_;
  std::vector<Parameter> parameters_;
  std::vector<int> parameter_of_;                   // per value, kNone
  std::vector<EventIndex> held_until_;              // per value: end of its first hold
  std::vector<std::vector<Interval>> later_holds_;  // per value: after its unpacks
};

}  // namespace tidemark
