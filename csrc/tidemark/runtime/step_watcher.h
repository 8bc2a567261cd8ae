// StepWatcher: what a watched step does beside following: it records the step as a StepGraph, with
// phases, categories, places and times.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tidemark/runtime/tape.h"
#include "tidemark/trace/recorder.h"

namespace tidemark {

// Where the program is: module path and source line of what runs now.
struct Place {
  std::string scope;
  std::string source;
};
using PlaceFinder = std::function<Place()>;

class StepWatcher {
 public:
  // `find_place`: asked per forward op; may be empty.
  StepWatcher(Tape& tape, AllocationId first_allocation, Bytes entry_bytes, PlaceFinder find_place);

  Recorder& recorder() { return recorder_; }
  // The op that runs now, "" outside ops.
  const std::string& current_op() const { return current_op_; }

  // Runs the op of an on_op call and returns how long it took.
  Nanoseconds run(const c10::OperatorHandle& op, const OpFacts& facts, c10::DispatchKeySet keys,
                  torch::jit::Stack* stack);

  // Before a forward op: asks where the program is, and looks at what it still holds.
  void reach_forward();
  // Around a forward op. Storages of leaves that require grad are parameters; a write to one under
  // no_grad begins the optimizer phase, which the next forward op that requires grad ends. What is
  // written in that phase, or without grad just before it, is optimizer state.
  void begin_forward(const OpFacts& facts, at::ArrayRef<c10::IValue> args);
  void end_forward(const TapedOp& op, at::ArrayRef<c10::IValue> returns);

  // Around an op of backward.
  void begin_backward(const OpFacts& facts, at::ArrayRef<c10::IValue> args);
  void end_backward(at::ArrayRef<c10::IValue> returns, Nanoseconds cost_ns);

 private:
  void note_write(const at::Tensor& tensor);
  void note_category(std::int32_t block, Category category);

  Tape& tape_;
  Recorder recorder_;
  PlaceFinder find_place_;
  std::unordered_map<std::int64_t, std::string> scope_by_sequence_;
  std::string current_op_;
  bool is_optimizer_ = false;
  std::vector<std::int32_t> written_without_grad_;  // since the last op that records a gradient
  // The op of backward that runs now.
  OpRecord record_;
  std::vector<at::Tensor> written_;
};

}  // namespace tidemark
