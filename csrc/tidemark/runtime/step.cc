#include "tidemark/runtime/step.h"

#include <ATen/SequenceNumber.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <array>

#include "tidemark/runtime/busy.h"
#include "tidemark/runtime/eviction.h"
#include "tidemark/runtime/replay.h"
#include "tidemark/runtime/saved_handle.h"

namespace tidemark {
namespace {

StepAllocator& allocator() { return StepAllocator::instance(); }

// The autograd state of `tensor` and of what it is a view of; either may be nullptr.
std::array<const torch::autograd::AutogradMeta*, 2> metas_of(const at::Tensor& tensor) {
  using torch::autograd::DifferentiableViewMeta;
  const auto* meta = torch::autograd::impl::get_autograd_meta(tensor);
  if (meta == nullptr || !meta->is_view_) return {meta, nullptr};
  const auto& view = static_cast<const DifferentiableViewMeta&>(*meta);
  if (!view.has_bw_view()) return {meta, nullptr};
  return {meta, torch::autograd::impl::get_autograd_meta(view.get_backward_view().base_)};
}

bool is_asked_to_retain(const torch::autograd::AutogradMeta* meta) {
  return meta != nullptr && meta->retains_grad_;
}

bool writes_retained(const OpFacts& facts, at::ArrayRef<c10::IValue> args) {
  bool found = false;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (!facts.writes[i]) continue;
    visit_tensors(args[i], [&](int, const at::Tensor& tensor) {
      const auto metas = metas_of(tensor);
      found = found || std::any_of(metas.begin(), metas.end(), is_asked_to_retain);
    });
  }
  return found;
}

bool is_in_backward() { return torch::autograd::get_current_graph_task_id() != -1; }

}  // namespace

Step::Step(StepOptions options, ForeignStorages& foreign)
    : options_(std::move(options)),
      foreign_(&foreign),
      tape_(/*with_allocations=*/options_.record),
      follower_(tape_, handles_, is_busy_, options_.script, options_.alternatives,
                options_.is_exact) {}

Step::~Step() = default;

void Step::begin() {
  allocator().reset_peak();
  entry_bytes_ = allocator().live_bytes();
  first_allocation_ = allocator().next_id();
  if (options_.record) {
    watcher_ =
        std::make_unique<StepWatcher>(tape_, first_allocation_, entry_bytes_, options_.find_place);
    follower_.set_recorder(&watcher_->recorder());
  }
  if (options_.check_writes) write_check_ = std::make_unique<WriteCheck>(tape_);
  is_active_ = true;
  is_taped_ = options_.record || follower_.drops_anything();
  if (is_taped_ && options_.script != nullptr) {
    tape_.expect(options_.script->ops().size());
    handles_.reserve(options_.script->num_handles());
  }
  allocator().set_observer(this, /*wants_blocks=*/options_.record, options_.limit);
  set_saved_tensor_factory(is_taped_ ? this : nullptr);
  enter_tap(this);
}

StepOutcome Step::end(bool aborted) {
  leave_tap();
  set_saved_tensor_factory(nullptr);
  kept_by_handles_ = shared_from_this();
  if (handles_alive_.close()) kept_by_handles_.reset();
  if (!is_tail_left_ && !aborted) follower_.step_ended();
  if (!aborted) trade_anchors_for_values();
  StepOutcome outcome;
  outcome.kind = follower_.kind();
  outcome.peak_bytes = allocator().peak_bytes();
  outcome.num_replays = follower_.num_replays() + num_restoring_replays_;
  outcome.tape_bytes = tape_.tape_bytes();
  outcome.foreign_bytes = foreign_bytes_;
  outcome.difference = follower_.difference();
  outcome.unknown_form = follower_.unknown_form();
  outcome.script = follower_.script();
  if (follower_.is_following()) {
    outcome.promised_bytes = promised_bytes();
    const bool keeps_promise = outcome.peak_bytes == *outcome.promised_bytes;
    outcome.has_surprising_tail = is_tail_left_ && (has_saved_in_tail_ || !keeps_promise);
    if (is_tail_left_ && !keeps_promise) {  // seen to its end, it would have been another step
      outcome.kind = StepKind::kDiverged;
      outcome.difference = "the peak differs from the promised one";
    }
    if (outcome.kind == StepKind::kPlanned && outcome.peak_bytes > *outcome.promised_bytes) {
      outcome.kind = StepKind::kAdapted;
      outcome.difference = "the peak is above the promised one";
    }
    if (outcome.kind == StepKind::kAdapted && outcome.difference.empty()) {
      outcome.difference = "entry state: other blocks were alive when the step was planned";
    }
  }
  manage_all();  // a graph that outlives the step is the step's to keep
  {
    const Busy busy(is_busy_);
    tape_.values().for_each([](ValueState& value) {
      if (value.num_handles == 0) value.kept.reset();  // a boundary that only the plan wanted
    });
  }
  note_freed_elsewhere();
  if (watcher_ != nullptr && !aborted) {
    outcome.graph = watcher_->recorder().finish(foreign_bytes_);
    outcome.active_at_entry = std::move(died_of_entry_);
    for (std::int32_t i = 0; i < tape_.num_blocks(); ++i) {
      const AllocationId id = tape_.block(i).allocation;
      if (id != kNoAllocation && id < first_allocation_) outcome.active_at_entry.push_back(id);
    }
  }
  follower_.set_recorder(nullptr);
  watcher_.reset();
  options_.find_place = nullptr;  // Python's; saved tensors may keep the step beyond its exit
  allocator().set_observer(nullptr);
  is_active_ = false;
  return outcome;
}

// ---- ops

void Step::on_op(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
                 torch::jit::Stack* stack) {
  if (is_busy_ || !is_active_) return run_op(op, keys, stack);
  if (is_away_ && !is_in_backward()) {
    turns_.check_over();
    allocator().observe_this_thread();
    is_away_ = false;
  }
  const bool in_backward = is_in_backward();
  if (in_backward && watcher_ == nullptr) {
    leave_tap_for_node();
    return run_op(op, keys, stack);
  }
  note_freed_elsewhere();
  const OpFacts& facts = facts_of(op);
  if (facts.is_view) return run_op(op, keys, stack);
  if (in_backward) return backward_op(op, facts, keys, stack);
  num_nodes_at_last_op_ = at::sequence_number::peek();
  if (facts.writes_any && writes_retained(facts, arguments(facts, *stack))) {
    num_nodes_at_retained_write_ = num_nodes_at_last_op_;
  }
  // Once the plan has nothing left to do, what the optimizer runs need not be taped.
  const bool needs_tape = watcher_ != nullptr || !follower_.is_done();
  if (is_taped_ && needs_tape) return taped_op(op, facts, keys, stack);
  untaped_op(op, facts, keys, stack);
}

void Step::untaped_op(const c10::OperatorHandle& op, const OpFacts& facts, c10::DispatchKeySet keys,
                      torch::jit::Stack* stack) {
  const auto args = arguments(facts, *stack);
  count_foreign_args(args);
  if (facts.writes_any) note_writes(facts, args);
  run_op(op, keys, stack);
  if (!follower_.is_following()) return;
  follower_.untaped_op_ended(facts, results(facts, *stack));
  if (!is_taped_ && follower_.kind() != StepKind::kPlanned) tape_from_here();
  if (options_.may_leave_tail && follower_.is_in_tail()) leave_tail();
}

// A plan that drops nothing needs no tape, but a step that leaves it may need room.
void Step::tape_from_here() {
  follower_.leave_plan();
  is_taped_ = true;
  set_saved_tensor_factory(this);
}

// What the optimizer runs is many small ops. Which of them writes a parameter is seen no longer, so
// it counts as begun. Hooks stay, to learn of a tail that saves tensors for another backward.
void Step::leave_tail() {
  if (!pause_tap()) return;
  is_tail_left_ = true;
  optimizer_had_begun_ = true;
  set_saved_tensor_factory(this);
}

void Step::taped_op(const c10::OperatorHandle& handle, const OpFacts& facts,
                    c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  if (watcher_ != nullptr) watcher_->reach_forward();
  const auto args = arguments(facts, *stack);
  TapedOp& op = tape_.begin_op(facts, args);
  if (watcher_ != nullptr) watcher_->begin_forward(facts, args);
  count_foreign_blocks();
  if (facts.writes_any) {
    note_writes(facts, args);
    if (tape_.num_dropped() > 0) restore_dependants(op);
  }
  if (write_check_ != nullptr) check_before_op(facts, args);
  if (watcher_ != nullptr) {
    op.cost_ns = watcher_->run(handle, facts, keys, stack);
  } else {
    run_op(handle, keys, stack);
  }
  const auto returns = results(facts, *stack);
  tape_.end_op(op, returns);
  if (write_check_ != nullptr) write_check_->after_op(facts, returns);
  if (watcher_ != nullptr) watcher_->end_forward(op, returns);
  if (!follower_.is_following()) return;
  follower_.op_ended(op, returns);
  if (follower_.kind() != StepKind::kPlanned) manage_all();
}

void Step::backward_op(const c10::OperatorHandle& op, const OpFacts& facts,
                       c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  watcher_->begin_backward(facts, arguments(facts, *stack));
  if (facts.writes_any) note_writes(facts, arguments(facts, *stack));
  count_foreign_blocks();
  if (write_check_ != nullptr) check_before_op(facts, arguments(facts, *stack));
  const Nanoseconds cost_ns = watcher_->run(op, facts, keys, stack);
  const auto returns = results(facts, *stack);
  watcher_->end_backward(returns, cost_ns);
  if (write_check_ != nullptr) write_check_->after_op(facts, returns);
}

void Step::check_before_op(const OpFacts& facts, at::ArrayRef<c10::IValue> args) {
  const Recorder& recorder = watcher_->recorder();
  std::string place = recorder.scope();
  if (!recorder.source().empty()) place += " (" + recorder.source() + ")";
  try {
    write_check_->before_op(facts, args, place);
  } catch (const UnseenWrite& error) {
    unseen_write_ = error.what();
    throw;
  }
}

// A write to a parameter outside backward under no_grad: the optimizer has begun.
void Step::note_writes(const OpFacts& facts, at::ArrayRef<c10::IValue> args) {
  if (optimizer_had_begun_ || c10::GradMode::is_enabled()) return;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (!facts.writes[i]) continue;
    visit_tensors(args[i], [&](int, const at::Tensor& tensor) {
      optimizer_had_begun_ = optimizer_had_begun_ || tensor.requires_grad();
    });
  }
}

// What a write is about to overwrite may be all that a dropped value can be recomputed from.
void Step::restore_dependants(const TapedOp& writer) {
  if (follower_.kind() == StepKind::kPlanned) return;  // the plan has judged it
  ValueSet overwritten;
  for (const auto& arg : writer.tensors) {
    if (arg.is_written && !arg.is_unread_by_replay) overwritten.insert(arg.key);
  }
  std::vector<ValueState*> dropped;
  tape_.values().for_each([&](ValueState& value) {
    if (value.is_dropped && value.num_handles > 0 && !tape_.is_resident(value.key) &&
        !is_lost(value)) {
      dropped.push_back(&value);
    }
  });
  for (ValueState* value : dropped) {
    for (std::int32_t index : replay_closure(tape_, {value->key})) {
      const auto& tensors = tape_.op(index)->tensors;
      const bool reads = std::any_of(tensors.begin(), tensors.end(), [&](const TensorArg& arg) {
        return overwritten.count(arg.key) > 0;
      });
      if (!reads) continue;
      restore(*value);
      break;
    }
  }
}

// Recomputes a dropped value.
void Step::restore(ValueState& value) {
  const Busy busy(is_busy_);
  Ref ref = tape_.find(value.key);
  if (!ref) {
    if (is_lost(value)) refuse(tape_.block(value.key.block).bytes, given_up_bytes_);
    const auto ops = replay_closure(tape_, {value.key});
    RestoredValues restored = replay(tape_, ops, {value.key});
    num_restoring_replays_ += static_cast<std::int64_t>(ops.size());
    ref = std::move(restored.at(value.key));
  }
  value.kept = std::move(ref);
  value.anchors.clear();
  tape_.set_dropped(value, false);
  value.last_use = tape_.num_ops();
}

// A graph that outlives the step would hold what its dropped values are made from, a batch maybe.
void Step::trade_anchors_for_values() {
  AnchorSearch search(tape_);
  try {
    for (ValueState* value : less_than_their_anchors(tape_)) {
      if (search.is_recomputable(value->key)) restore(*value);
    }
  } catch (const BudgetExceeded&) {
    exceeded_.reset();  // there is no room: the rest keeps its anchors
  }
}

// ---- saved tensors

std::unique_ptr<torch::autograd::SavedVariableHooks> Step::make_hooks() {
  if (is_tail_left_) {
    has_saved_in_tail_ = true;
    return nullptr;
  }
  handles_alive_.come();
  return SavedHandle::make(handle_memory_, *this);
}

void Step::pack(SavedHandle& handle, const at::Tensor& tensor) {
  handle.number = static_cast<HandleNumber>(handles_.size());
  handles_.push_back(&handle);
  handle.version = SavedVersion(tensor);
  if (!is_plain(tensor)) {
    handle.held = tensor.detach();
    handle.version.follow(tensor);
  } else if (retains_gradient(tensor)) {
    handle.held = tensor;
  } else {
    handle.key = tape_.touch(tensor);
    if (may_hold(tensor, handle.key)) {
      handle.held = tensor;
      ++num_plain_holds_;
    } else {
      manage(handle, tensor);
    }
  }
  if (watcher_ != nullptr) {
    watcher_->recorder().pack(handle.number, handle.key, handle.is_managed());
  }
  count_foreign_blocks();
}

// A thread of the user's has called backward on what the step made: it works for the step while
// the step's own thread waits. Nodes that unpack nothing are seen by their allocations alone.
void Step::follow_backward_here() {
  if (!allocator().observes_this_thread()) allocator().observe_this_thread();
  is_away_ = true;
  if (!is_tap_on()) enter_tap_for_node();
}

// Autograd keeps a tensor that it saves, with what it is a view of, and with them the gradient that
// its user has asked to retain. A handle that kept the memory alone would let the gradient die
// before the graph. But a node that saves what it has written in place would hold itself. It is the
// newest then, or made the two nodes that follow from a write to a view: one writes the base, one
// reads the view from it.
bool Step::retains_gradient(const at::Tensor& tensor) const {
  const auto metas = metas_of(tensor);
  const bool is_asked = is_asked_to_retain(metas[0]) || is_asked_to_retain(metas[1]);
  return is_asked && retains_asked_gradient(tensor);
}

bool Step::retains_asked_gradient(const at::Tensor& tensor) const {
  const auto metas = metas_of(tensor);
  const bool is_view = metas[1] != nullptr;
  const std::uint64_t num_nodes = num_nodes_at_retained_write_ + (is_view ? 2 : 0);
  const bool may_be_written = at::sequence_number::peek() <= num_nodes;
  return std::any_of(metas.begin(), metas.end(), [&](const auto* meta) {
    if (!is_asked_to_retain(meta)) return false;
    const auto& node = meta->grad_fn_;
    return !may_be_written || !node || node->sequence_nr() + 1 < num_nodes_at_retained_write_;
  });
}

// What the plan leaves alone is held as autograd would, for a third of the cost, until the step
// turns out to be another. But for outputs of the node that saves them, which would hold
// themselves. Such a node is the newest, or no node was made since its op ran: reading the grad_fn
// of a view whose base was written makes others between both.
bool Step::may_hold(const at::Tensor& tensor, ValueKey key) const {
  if (watcher_ != nullptr || !follower_.leaves_alone(key.block)) return false;
  const auto* meta = torch::autograd::impl::get_autograd_meta(tensor);
  if (meta == nullptr) return true;
  const std::uint64_t num_nodes = at::sequence_number::peek();
  const bool is_from_newest = meta->grad_fn_ && meta->grad_fn_->sequence_nr() + 1 >= num_nodes;
  return !is_from_newest && num_nodes != num_nodes_at_last_op_;
}

void Step::manage(SavedHandle& handle, const at::Tensor& tensor) {
  handle.version.follow(tensor);
  handle.geometry = &tape_.geometry_of(tensor);
  handle.value = &tape_.value(handle.key);
  ValueState& value = *handle.value;
  tape_.add_handle(value);
  if (handle.is_pending) ++value.num_pending;
  value.last_use = tape_.num_ops();
  if (!value.kept && !value.is_dropped) value.kept = Ref(tensor.storage(), tape_.seen(tensor));
}

// From here on anything may have to be given back.
void Step::manage_all() {
  if (num_plain_holds_ == 0) return;
  const Busy busy(is_busy_);
  for (SavedHandle* handle : handles_) {
    if (handle == nullptr || !handle->is_plain_hold()) continue;
    const at::Tensor tensor = std::move(handle->held);
    manage(*handle, tensor);
  }
  num_plain_holds_ = 0;
}

at::Tensor Step::unpack(SavedHandle& handle) {
  handle.version.check(handle.held);
  if (is_active_) turns_.enter();
  if (is_active_ && (is_away_ || !allocator().observes_this_thread()) && is_in_backward()) {
    follow_backward_here();
  }
  if (watcher_ != nullptr) {
    record_unpack(handle);
  } else if (is_active_) {
    leave_tap_for_node();  // nobody looks at ops of backward
  }
  if (is_active_ && follower_.is_following() && !handle.is_pending) {
    follower_.before_unpack(handle);
    if (follower_.kind() != StepKind::kPlanned) manage_all();
  }
  if (!handle.is_managed()) {
    handle.is_pending = false;
    return handle.held;
  }
  ValueState& value = *handle.value;
  if (!value.kept && !value.serving) restore(value);
  const Ref& source = value.kept ? value.kept : value.serving;
  if (write_check_ != nullptr) check_before_serving(value.key, source);
  at::Tensor tensor = make_view(source.storage(), *handle.geometry);
  if (source.seen()->version != kNone) value.restored = source.seen();
  if (watcher_ != nullptr) watcher_->recorder().served(value.key);
  if (handle.is_pending) {
    handle.is_pending = false;
    if (--value.num_pending == 0) value.serving.reset();
  }
  return tensor;
}

void Step::record_unpack(const SavedHandle& handle) {
  note_freed_elsewhere();
  const auto node = torch::autograd::get_current_node();
  watcher_->recorder().unpack(handle.number, node.get(), node ? node->name() : "outside backward");
}

// A block that an op has written since is served as it is, and autograd judges that.
void Step::check_before_serving(ValueKey key, const Ref& source) {
  const bool is_computed_again = source.seen()->version != kNone;
  if (!is_computed_again && tape_.block(key.block).version != key.version) return;
  try {
    write_check_->before_serving(key, source.storage(), is_computed_again);
  } catch (const UnseenWrite& error) {
    unseen_write_ = error.what();
    throw;
  }
}

void Step::release(SavedHandle& handle) noexcept {
  if (handle.number == kNone) return;
  handles_[handle.number] = nullptr;
  if (watcher_ != nullptr) watcher_->recorder().release(handle.number);
  if (handle.is_plain_hold()) --num_plain_holds_;
  if (!handle.is_managed()) return;
  ValueState& value = *handle.value;
  if (handle.is_pending && --value.num_pending == 0) value.serving.reset();
  tape_.remove_handle(value);
  if (value.num_handles > 0) return;
  value.kept.reset();
  value.anchors.clear();
}

void Step::destroyed_handle() noexcept {
  if (!handles_alive_.go()) return;
  const std::shared_ptr<Step> last = std::move(kept_by_handles_);
}

}  // namespace tidemark
