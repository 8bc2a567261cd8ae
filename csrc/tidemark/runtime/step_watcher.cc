#include "tidemark/runtime/step_watcher.h"

#include <ATen/SequenceNumber.h>
#include <torch/csrc/autograd/function.h>

#include <algorithm>
#include <chrono>

#include "tidemark/trace/shape_text.h"
#include "tidemark/trace/tap.h"

namespace tidemark {
namespace {

std::vector<std::string> result_shapes(at::ArrayRef<c10::IValue> returns) {
  std::vector<std::string> shapes;
  for (const auto& value : returns) {
    visit_tensors(value, [&](int, const at::Tensor& tensor) {
      if (is_plain(tensor)) shapes.push_back(shape_text(tensor));
    });
  }
  return shapes;
}

}  // namespace

StepWatcher::StepWatcher(Tape& tape, AllocationId first_allocation, Bytes entry_bytes,
                         PlaceFinder find_place)
    : tape_(tape),
      recorder_(tape, first_allocation, entry_bytes),
      find_place_(std::move(find_place)) {}

Nanoseconds StepWatcher::run(const c10::OperatorHandle& op, const OpFacts& facts,
                             c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  recorder_.begin_op();
  current_op_ = facts.name;
  const auto start = std::chrono::steady_clock::now();
  try {
    run_op(op, keys, stack);
  } catch (...) {
    recorder_.abort_op();
    written_.clear();
    throw;
  }
  current_op_.clear();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() -
                                                              start)
      .count();
}

void StepWatcher::note_category(std::int32_t block, Category category) {
  if (!recorder_.has_category(block)) recorder_.set_category(block, category);
}

// Outside backward. Adam, say, writes its moments before it writes the parameters.
void StepWatcher::note_write(const at::Tensor& tensor) {
  if (c10::GradMode::is_enabled()) return;
  if (tensor.requires_grad()) {
    is_optimizer_ = true;
    for (const std::int32_t block : written_without_grad_) {
      note_category(block, Category::kOptstate);
    }
    written_without_grad_.clear();
  } else if (is_optimizer_) {
    note_category(tape_.touch(tensor).block, Category::kOptstate);
  } else {
    written_without_grad_.push_back(tape_.touch(tensor).block);
  }
}

// The op's place is asked for before it runs: Python looks for it, and what its garbage collector
// lets go of meanwhile must not pass for what the op has freed.
void StepWatcher::reach_forward() {
  if (find_place_) {
    Place place = find_place_();
    if (at::GradMode::is_enabled()) {
      scope_by_sequence_[at::sequence_number::peek() - 1] = place.scope;
    }
    recorder_.set_place(std::move(place.scope), std::move(place.source));
  }
  recorder_.poll();
}

void StepWatcher::begin_forward(const OpFacts& facts, at::ArrayRef<c10::IValue> args) {
  for (std::size_t i = 0; i < args.size(); ++i) {
    visit_tensors(args[i], [&](int, const at::Tensor& tensor) {
      if (!is_plain(tensor)) return;
      if (tensor.requires_grad()) {
        const std::int32_t block = tape_.touch(tensor).block;
        if (tape_.block(block).is_source) note_category(block, Category::kParameter);
      }
      if (facts.writes[i]) note_write(tensor);
    });
  }
}

void StepWatcher::end_forward(const TapedOp& op, at::ArrayRef<c10::IValue> returns) {
  if (op.grad_mode) {
    for (const auto& arg : op.tensors) {
      if (is_optimizer_ && recorder_.has_category(arg.key.block)) is_optimizer_ = false;
    }
    written_without_grad_.clear();
  }
  OpRecord record;
  record.facts = op.facts;
  record.phase = is_optimizer_ ? Phase::kOptimizer : Phase::kForward;
  record.pinned = op.pinned;
  record.cost_ns = op.cost_ns;
  for (const auto& arg : op.tensors) {
    record.inputs.push_back(arg.key);
    if (!arg.is_written) continue;
    if (arg.is_unread_by_replay) recorder_.set_category(arg.key.block, Category::kBuffer);
    record.in_place.emplace_back(arg.key, ValueKey{arg.key.block, arg.key.version + 1});
  }
  for (const auto& result : op.results) record.results.push_back({result.block, 0});
  if (op.can_write_over) {
    record.replays_in_place.emplace_back(op.tensors.front().key, record.results.front());
  }
  record.shapes = result_shapes(returns);
  recorder_.end_op(std::move(record));
}

void StepWatcher::begin_backward(const OpFacts& facts, at::ArrayRef<c10::IValue> args) {
  recorder_.poll();
  record_ = {};
  record_.facts = &facts;
  record_.phase = Phase::kBackward;
  record_.pinned = "runs in backward";
  for (std::size_t i = 0; i < args.size(); ++i) {
    visit_tensors(args[i], [&](int, const at::Tensor& tensor) {
      if (!is_plain(tensor)) return;
      const bool writes = facts.writes[i] || facts.may_write_unannounced;
      const ValueKey key = writes ? tape_.touch_to_write(tensor) : tape_.touch(tensor);
      record_.inputs.push_back(key);
      const std::pair<ValueKey, ValueKey> write{key, {key.block, key.version + 1}};
      auto& known = record_.in_place;
      if (!writes || std::find(known.begin(), known.end(), write) != known.end()) return;
      known.push_back(write);
      written_.push_back(tensor);
      if (facts.writes[i] && tape_.block(key.block).is_source) {
        note_category(key.block, Category::kGradient);
      }
    });
  }
  if (const auto node = torch::autograd::get_current_node()) {
    auto scope = scope_by_sequence_.find(static_cast<std::int64_t>(node->sequence_nr()));
    recorder_.set_place(scope == scope_by_sequence_.end() ? "" : scope->second, "");
  }
}

void StepWatcher::end_backward(at::ArrayRef<c10::IValue> returns, Nanoseconds cost_ns) {
  record_.cost_ns = cost_ns;
  for (const auto& tensor : written_) tape_.note_write(tensor);
  written_.clear();
  for (const auto& value : returns) {
    visit_tensors(value, [&](int, const at::Tensor& tensor) {
      if (!is_plain(tensor)) return;
      bool is_new = false;
      const ValueKey key = tape_.enter_result(tensor, kNone, is_new);
      if (is_new) record_.results.push_back(key);
    });
  }
  record_.shapes = result_shapes(returns);
  recorder_.end_op(std::move(record_));
}

}  // namespace tidemark
