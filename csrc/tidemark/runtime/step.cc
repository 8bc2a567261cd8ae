#include "tidemark/runtime/step.h"

#include <ATen/SequenceNumber.h>
#include <torch/csrc/autograd/graph_task.h>

#include <algorithm>
#include <chrono>

#include "tidemark/runtime/saved_handle.h"
#include "tidemark/runtime/torch_compat.h"

namespace tidemark {
namespace {

StepAllocator& allocator() { return StepAllocator::instance(); }

bool is_in_backward() { return torch::autograd::get_current_graph_task_id() != -1; }

std::vector<std::string> result_shapes(at::ArrayRef<c10::IValue> returns) {
  std::vector<std::string> shapes;
  for (const auto& value : returns) {
    visit_tensors(value, [&](int, const at::Tensor& tensor) {
      if (is_plain(tensor)) shapes.push_back(shape_text(tensor));
    });
  }
  return shapes;
}

void push_once(std::vector<std::int32_t>& list, std::int32_t item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

}  // namespace

// While one lives, allocations, frees and ops on this thread are the runtime's own.
class Step::Busy {
 public:
  explicit Busy(Step& step) : step_(step), was_busy_(step.is_busy_) { step_.is_busy_ = true; }
  ~Busy() { step_.is_busy_ = was_busy_; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  Step& step_;
  bool was_busy_;
};

Step::Step(StepOptions options, ForeignCounter count_foreign)
    : options_(std::move(options)), count_foreign_(std::move(count_foreign)) {}

Step::~Step() = default;

void Step::begin() {
  allocator().reset_peak();
  entry_bytes_ = allocator().live_bytes();
  first_allocation_ = allocator().next_id();
  is_following_ = options_.script != nullptr;
  outcome_.kind = !is_following_      ? StepKind::kWatched
                  : options_.is_exact ? StepKind::kPlanned
                                      : StepKind::kAdapted;
  if (options_.record) {
    recorder_ = std::make_unique<Recorder>(tape_, first_allocation_, entry_bytes_);
  }
  is_active_ = true;
  allocator().set_observer(this);
  const auto& others = options_.alternatives;
  may_replay_ = options_.record || (is_following_ && options_.script->drops_anything()) ||
                std::any_of(others.begin(), others.end(),
                            [](const auto& other) { return other->drops_anything(); });
  set_saved_tensor_factory(may_replay_ ? this : nullptr);
  enter_tap(this);
}

StepOutcome Step::end(bool aborted) {
  leave_tap();
  set_saved_tensor_factory(nullptr);
  outcome_.peak_bytes = allocator().peak_bytes();
  outcome_.num_forward_ops = static_cast<std::int64_t>(tape_.ops().size());
  outcome_.num_saved = static_cast<std::int64_t>(handles_.size());
  outcome_.tape_bytes = tape_.tape_bytes();
  if (is_following_) {
    const auto& script = *options_.script;
    outcome_.promised_bytes =
        script.plan().peak_bytes - script.entry_bytes() + entry_bytes_ + foreign_bytes_;
    if (outcome_.kind == StepKind::kAdapted && outcome_.difference.empty()) {
      outcome_.difference = "entry state: other blocks were alive when the step was planned";
    }
  }
  {
    Busy busy(*this);
    for (auto& [key, value] : tape_.values()) {
      if (value.num_handles == 0) value.kept.reset();  // a boundary that only the plan wanted
    }
  }
  if (recorder_ != nullptr && !aborted) outcome_.graph = recorder_->finish(foreign_bytes_);
  recorder_.reset();
  for (std::int32_t i = 0; i < tape_.num_blocks(); ++i) {
    const AllocationId id = tape_.block(i).allocation;
    if (id != kNoAllocation && id < first_allocation_) outcome_.touched_at_entry.push_back(id);
  }
  outcome_.script = options_.script;
  allocator().set_observer(nullptr);
  is_active_ = false;
  is_following_ = false;
  return std::move(outcome_);
}

void Step::on_op(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
                 torch::jit::Stack* stack) {
  if (is_busy_ || !is_active_) return run_op(op, keys, stack);
  const OpFacts& facts = facts_of(op);
  if (facts.is_view) return run_op(op, keys, stack);
  if (!is_in_backward()) return forward_op(op, facts, keys, stack);
  if (recorder_ != nullptr) return backward_op(op, facts, keys, stack);
  run_op(op, keys, stack);
}

Nanoseconds Step::timed_run(const c10::OperatorHandle& op, const OpFacts& facts,
                            c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  if (recorder_ == nullptr) {
    run_op(op, keys, stack);
    return 0;
  }
  recorder_->begin_op();
  current_op_ = facts.name;
  const auto start = std::chrono::steady_clock::now();
  try {
    run_op(op, keys, stack);
  } catch (...) {
    recorder_->abort_op();
    throw;
  }
  current_op_.clear();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() -
                                                              start)
      .count();
}

void Step::forward_op(const c10::OperatorHandle& handle, const OpFacts& facts,
                      c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  if (recorder_ != nullptr) recorder_->poll();
  const auto args = torch::jit::last(*stack, facts.num_args);
  TapedOp& op = tape_.begin_op(handle, facts, args, may_replay_);
  note_new_blocks(args);
  if (facts.writes_any) note_writes(op, args);
  op.cost_ns = timed_run(handle, facts, keys, stack);
  tape_.end_op(op, torch::jit::last(*stack, facts.num_returns));
  if (recorder_ != nullptr) record_forward_op(op, stack);
  if (is_following_) follow_op(op, stack);
}

void Step::note_new_blocks(at::ArrayRef<c10::IValue> args) {
  if (recorder_ != nullptr) {
    for (const auto& arg : args) {
      visit_tensors(arg, [&](int, const at::Tensor& tensor) {
        if (!is_plain(tensor) || !tensor.requires_grad()) return;
        const std::int32_t block = tape_.touch(tensor).block;
        if (!tape_.block(block).is_source || recorder_->has_category(block)) return;
        recorder_->set_category(block, Category::kParameter);
      });
    }
  }
  count_foreign_blocks();
}

void Step::count_foreign_blocks() {
  for (; num_blocks_counted_ < tape_.num_blocks(); ++num_blocks_counted_) {
    const TapeBlock& block = tape_.block(num_blocks_counted_);
    if (!block.is_source || block.allocation != kNoAllocation || block.bytes == 0) continue;
    if (is_tight(block.bytes)) make_room(missing_bytes(block.bytes));
    if (count_foreign_(block.original->raw, block.bytes)) continue;
    foreign_bytes_ += block.bytes;
    allocator().add_foreign(block.bytes);
    if (is_tight(0)) refuse(0);
  }
}

// A write to a parameter outside backward under no_grad begins the optimizer phase; the next
// forward op that requires grad ends it.
void Step::note_writes(const TapedOp& op, at::ArrayRef<c10::IValue> args) {
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (!op.facts->writes[i]) continue;
    visit_tensors(args[i], [&](int, const at::Tensor& tensor) {
      if (!is_plain(tensor)) return;
      if (!op.grad_mode && tensor.requires_grad()) is_optimizer_ = optimizer_had_begun_ = true;
      if (recorder_ == nullptr || !is_optimizer_) return;
      const std::int32_t block = tape_.touch(tensor).block;
      if (tape_.block(block).is_source && !recorder_->has_category(block)) {
        recorder_->set_category(block, Category::kOptstate);
      }
    });
  }
  if (num_dropped_ > 0) restore_dependants(op);
}

// What a write is about to overwrite may be all that a dropped value can be recomputed from.
void Step::restore_dependants(const TapedOp& writer) {
  if (is_following_ && outcome_.kind != StepKind::kAdapted) return;  // the plan has judged it
  ValueSet overwritten;
  for (const auto& arg : writer.tensors) {
    if (arg.is_written && !arg.is_unread_by_replay) overwritten.insert(arg.key);
  }
  std::vector<ValueKey> dropped;
  for (const auto& [key, value] : tape_.values()) {
    if (value.is_dropped && value.num_handles > 0 && !tape_.is_resident(key)) {
      dropped.push_back(key);
    }
  }
  for (ValueKey key : dropped) {
    for (std::int32_t index : replay_closure(tape_, {key})) {
      const auto& tensors = tape_.ops()[index].tensors;
      const bool reads = std::any_of(tensors.begin(), tensors.end(), [&](const TensorArg& arg) {
        return overwritten.count(arg.key) > 0;
      });
      if (!reads) continue;
      restore(key);
      break;
    }
  }
}

void Step::record_forward_op(const TapedOp& op, torch::jit::Stack* stack) {
  const auto returns = torch::jit::last(*stack, op.facts->num_returns);
  if (op.grad_mode && is_optimizer_) {
    for (const auto& arg : op.tensors) {
      if (recorder_->has_category(arg.key.block)) is_optimizer_ = false;
    }
  }
  if (options_.find_place) {
    Place place = options_.find_place();
    if (op.grad_mode) scope_by_sequence_[at::sequence_number::peek() - 1] = place.scope;
    recorder_->set_place(std::move(place.scope), std::move(place.source));
  }
  OpRecord record;
  record.facts = op.facts;
  record.phase = is_optimizer_ ? Phase::kOptimizer : Phase::kForward;
  record.pinned = op.pinned;
  record.cost_ns = op.cost_ns;
  for (const auto& arg : op.tensors) {
    record.inputs.push_back(arg.key);
    if (!arg.is_written) continue;
    if (arg.is_unread_by_replay) recorder_->set_category(arg.key.block, Category::kBuffer);
    record.in_place.emplace_back(arg.key, ValueKey{arg.key.block, arg.key.version + 1});
  }
  for (const auto& result : op.results) record.results.push_back({result.block, 0});
  record.shapes = result_shapes(returns);
  recorder_->end_op(std::move(record));
}

void Step::backward_op(const c10::OperatorHandle& handle, const OpFacts& facts,
                       c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  recorder_->poll();
  const auto args = torch::jit::last(*stack, facts.num_args);
  OpRecord record;
  record.facts = &facts;
  record.phase = Phase::kBackward;
  record.pinned = "runs in backward";
  std::vector<at::Tensor> written;
  for (std::size_t i = 0; i < args.size(); ++i) {
    visit_tensors(args[i], [&](int, const at::Tensor& tensor) {
      if (!is_plain(tensor)) return;
      const ValueKey key = tape_.touch(tensor);
      record.inputs.push_back(key);
      if (!facts.writes[i]) return;
      record.in_place.emplace_back(key, ValueKey{key.block, key.version + 1});
      written.push_back(tensor);
      if (tape_.block(key.block).is_source && !recorder_->has_category(key.block)) {
        recorder_->set_category(key.block, Category::kGradient);
      }
    });
  }
  count_foreign_blocks();
  if (const auto node = torch::autograd::get_current_node()) {
    auto scope = scope_by_sequence_.find(static_cast<std::int64_t>(node->sequence_nr()));
    recorder_->set_place(scope == scope_by_sequence_.end() ? "" : scope->second, "");
  }
  record.cost_ns = timed_run(handle, facts, keys, stack);
  const auto returns = torch::jit::last(*stack, facts.num_returns);
  for (const auto& tensor : written) tape_.note_write(tensor);
  written.clear();
  for (const auto& value : returns) {
    visit_tensors(value, [&](int, const at::Tensor& tensor) {
      if (!is_plain(tensor)) return;
      bool is_new = false;
      const ValueKey key = tape_.enter_result(tensor, kNone, is_new);
      if (is_new) record.results.push_back(key);
    });
  }
  record.shapes = result_shapes(returns);
  recorder_->end_op(std::move(record));
}

// ---- following a plan

void Step::differ(StepKind kind, std::string what) {
  if (kind == StepKind::kDiverged) is_following_ = false;
  if (!may_replay_) tape_from_here();
  if (outcome_.difference.empty() || kind == StepKind::kDiverged) {
    outcome_.difference = std::move(what);
  }
  outcome_.kind = kind;
}

// A plan that drops nothing needs no tape, but a step that leaves it may need room.
void Step::tape_from_here() {
  is_following_ = false;
  may_replay_ = true;
  set_saved_tensor_factory(this);
}

ValueKey Step::key_of(ValueIndex value) const {
  const PlannedValue place = options_.script->value_of(value);
  return {tape_.block_of_forward_number(place.block), place.version};
}

void Step::follow_op(const TapedOp& op, torch::jit::Stack* stack) {
  std::vector<std::int32_t> inputs;
  for (const auto& arg : op.tensors) {
    push_once(inputs, tape_.block(arg.key.block).forward_number);
  }
  const auto shapes = result_shapes(torch::jit::last(*stack, op.facts->num_returns));
  seen_ops_.emplace_back(flow_hash(op.facts->name_hash, inputs), shape_hash(shapes));
  const auto index = static_cast<std::size_t>(op.index);
  auto matches = [&](auto member, std::uint64_t hash) {
    const auto& expected = options_.script->ops();
    return index < expected.size() && expected[index].*member == hash;
  };
  const auto [flow, shape] = seen_ops_.back();
  const bool is_same =
      matches(&ExpectedOp::flow_hash, flow) && matches(&ExpectedOp::shape_hash, shape);
  if (!is_same && !switch_script()) {
    const std::string where = "forward op " + std::to_string(index) + " (" + op.facts->name + ")";
    if (!matches(&ExpectedOp::flow_hash, flow)) {
      return differ(StepKind::kDiverged, where + ": another op or other inputs were planned");
    }
    differ(StepKind::kAdapted, where + ": other sizes were planned");
  }
  const EventActions* actions = options_.script->ops()[index].actions;
  if (actions != nullptr) execute(*actions, {});
}

// Another script that agrees with everything seen so far; none once the present one has acted.
bool Step::switch_script() {
  if (has_acted_ || outcome_.kind != StepKind::kPlanned) return false;
  for (const auto& other : options_.alternatives) {
    const auto& expected = other->ops();
    if (expected.size() < seen_ops_.size()) continue;
    const bool agrees = std::equal(
        seen_ops_.begin(), seen_ops_.end(), expected.begin(), [](const auto& seen, const auto& op) {
          return seen.first == op.flow_hash && seen.second == op.shape_hash;
        });
    if (!agrees) continue;
    options_.script = other;
    return true;
  }
  return false;
}

void Step::follow_unpack(const SavedHandle& first) {
  const auto& expected = options_.script->unpacks();
  const std::string where = "unpack " + std::to_string(next_unpack_);
  if (next_unpack_ >= expected.size()) {
    return differ(StepKind::kDiverged, where + ": the planned step had no further one");
  }
  const ExpectedUnpack& event = expected[next_unpack_];
  if (std::find(event.handles.begin(), event.handles.end(), first.number) == event.handles.end()) {
    return differ(StepKind::kDiverged, where + ": saved tensor " + std::to_string(first.number) +
                                           " was not planned here");
  }
  ++next_unpack_;
  std::vector<SavedHandle*> served;
  for (HandleNumber number : event.handles) {
    SavedHandle* handle =
        number < static_cast<HandleNumber>(handles_.size()) ? handles_[number] : nullptr;
    if (handle == nullptr || handle->is_pending) continue;
    handle->is_pending = true;
    if (!handle->is_managed) continue;
    ++tape_.value(handle->key).num_pending;
    served.push_back(handle);
  }
  if (event.actions != nullptr) execute(*event.actions, served);
  for (SavedHandle* handle : served) {
    ValueState& value = tape_.value(handle->key);
    if (!value.kept && !value.serving) value.serving = tape_.find(handle->key);
  }
}

// Replays, then keeps, then drops. A drop leaves the handles about to be served their value.
void Step::execute(const EventActions& actions, const std::vector<SavedHandle*>& served) {
  Busy busy(*this);
  has_acted_ = true;
  std::vector<std::int32_t> ops;
  ValueSet targets;
  for (const SavedHandle* handle : served) targets.insert(handle->key);
  for (const Action& action : actions.actions) {
    if (action.kind == ActionKind::kReplay) {
      ops.push_back(options_.script->forward_op_of(action.target));
    } else if (action.kind == ActionKind::kKeep) {
      targets.insert(key_of(action.target));
    }
  }
  if (outcome_.kind == StepKind::kAdapted) {  // what the plan reads may have been given back
    std::vector<ValueKey> missing;
    for (ValueKey key : targets) {
      const ValueState& value = tape_.value(key);
      if (!value.kept && !value.serving) missing.push_back(key);
    }
    ops = replay_closure(tape_, missing);
  }
  RestoredValues restored = replay(tape_, ops, targets);
  outcome_.num_replays += static_cast<std::int64_t>(ops.size());
  for (auto& [key, ref] : restored) {
    ValueState& value = tape_.value(key);
    if (value.num_pending > 0 && !value.kept) value.serving = std::move(ref);
  }
  for (const Action& action : actions.actions) {
    if (action.kind == ActionKind::kReplay) continue;
    const ValueKey key = key_of(action.target);
    ValueState& value = tape_.value(key);
    if (action.kind == ActionKind::kKeep) {
      auto fresh = restored.find(key);
      Ref ref =
          fresh != restored.end() && fresh->second ? std::move(fresh->second) : tape_.find(key);
      TORCH_INTERNAL_ASSERT(ref, "tidemark: the plan keeps a value that is not in memory");
      if (recorder_ != nullptr && ref.seen()->version == kNone) recorder_->refer(key);
      value.kept = std::move(ref);
      if (value.is_dropped) --num_dropped_;
      value.is_dropped = false;
    } else {
      if (!value.is_dropped) ++num_dropped_;
      value.is_dropped = true;
      if (value.num_pending > 0 && !value.serving) value.serving = std::move(value.kept);
      value.kept.reset();
    }
  }
}

// ---- saved tensors

std::unique_ptr<torch::autograd::SavedVariableHooks> Step::make_hooks() {
  return std::make_unique<SavedHandle>(shared_from_this());
}

void Step::pack(SavedHandle& handle, const at::Tensor& tensor) {
  handle.number = static_cast<HandleNumber>(handles_.size());
  handles_.push_back(&handle);
  handle.version = SavedVersion(tensor);
  handle.is_managed = is_plain(tensor);
  if (!handle.is_managed) {
    handle.unmanaged = tensor.detach();
  } else {
    handle.key = tape_.touch(tensor);
    handle.geometry = geometry_of(tensor);
    ValueState& value = tape_.value(handle.key);
    ++value.num_handles;
    value.last_use = static_cast<std::int64_t>(tape_.ops().size());
    if (!value.kept && !value.is_dropped) value.kept = Ref(tensor.storage(), tape_.seen(tensor));
  }
  if (recorder_ != nullptr) recorder_->pack(handle.number, handle.key, handle.is_managed);
  count_foreign_blocks();
}

at::Tensor Step::unpack(SavedHandle& handle) {
  handle.version.check();
  const auto node = torch::autograd::get_current_node();
  if (recorder_ != nullptr) {
    recorder_->unpack(handle.number, node.get(), node ? node->name() : "outside backward");
  }
  if (is_following_ && !handle.is_pending) follow_unpack(handle);
  if (!handle.is_managed) {
    handle.is_pending = false;
    return handle.unmanaged;
  }
  ValueState& value = tape_.value(handle.key);
  if (!value.kept && !value.serving) restore(handle.key);
  const Ref& source = value.kept ? value.kept : value.serving;
  at::Tensor tensor = make_view(source.storage(), handle.geometry);
  if (source.seen()->version != kNone) value.restored = source.seen();
  if (recorder_ != nullptr) recorder_->served(handle.key);
  if (handle.is_pending) {
    handle.is_pending = false;
    if (--value.num_pending == 0) value.serving.reset();
  }
  return tensor;
}

void Step::release(SavedHandle& handle) noexcept {
  if (handle.number == kNone) return;
  handles_[handle.number] = nullptr;
  if (recorder_ != nullptr) recorder_->release(handle.number);
  if (!handle.is_managed) return;
  ValueState& value = tape_.value(handle.key);
  if (handle.is_pending && --value.num_pending == 0) value.serving.reset();
  if (--value.num_handles > 0) return;
  if (value.is_dropped && !value.kept) --num_dropped_;
  value.kept.reset();
}

// ---- holding the budget without a plan

// Recomputes a dropped value; values that come along and are still wanted stay if there is room.
void Step::restore(ValueKey key) {
  Busy busy(*this);
  ValueState& value = tape_.value(key);
  Ref ref = tape_.find(key);
  if (!ref) {
    const auto ops = replay_closure(tape_, {key});
    RestoredValues restored = replay(tape_, ops, {key});
    outcome_.num_replays += static_cast<std::int64_t>(ops.size());
    ref = std::move(restored.at(key));
  }
  value.kept = std::move(ref);
  value.anchors.clear();
  if (value.is_dropped) --num_dropped_;
  value.is_dropped = false;
  value.last_use = static_cast<std::int64_t>(tape_.ops().size());
}

bool Step::is_evictable(ValueKey key, const ValueState& value) {
  if (!value.kept || value.num_pending > 0 || value.kept.seen()->weak.use_count() != 1)
    return false;
  const TapeBlock& block = tape_.block(key.block);
  if (block.is_source || block.bytes == 0) return false;
  return value.kept.seen()->version != kNone || block.version == key.version;
}

double Step::eviction_score(ValueKey key, const ValueState& value) {
  const TapeBlock& block = tape_.block(key.block);
  const auto writer = static_cast<std::size_t>(key.version) < block.writers.size()
                          ? block.writers[key.version]
                          : kNone;
  const double cost = writer == kNone ? 1e12 : static_cast<double>(tape_.ops()[writer].cost_ns + 1);
  const auto staleness = static_cast<double>(tape_.ops().size()) - value.last_use + 1;
  return cost / (static_cast<double>(block.bytes) * std::max(1.0, staleness));
}

Bytes Step::make_room(Bytes bytes) {
  is_making_room_ = true;
  Busy busy(*this);
  std::vector<std::pair<double, ValueKey>> candidates;
  for (const auto& [key, value] : tape_.values()) {
    if (is_evictable(key, value)) candidates.emplace_back(eviction_score(key, value), key);
  }
  std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first, a.second.block) < std::pair(b.first, b.second.block);
  });
  AnchorSearch search(tape_);
  Bytes freed = 0;
  for (const auto& [score, key] : candidates) {
    if (freed >= bytes) break;
    ValueState& value = tape_.value(key);
    if (!search.is_recomputable(key)) continue;
    value.anchors = search.anchors(key);
    for (const Ref& anchor : value.anchors) {
      const SeenStorage& seen = *anchor.seen();
      if (recorder_ == nullptr || seen.version != kNone) continue;
      recorder_->refer({seen.block, tape_.block(seen.block).version});
    }
    value.is_dropped = true;
    ++num_dropped_;
    value.kept.reset();
    freed += tape_.block(key.block).bytes;
  }
  is_making_room_ = false;
  return freed;
}

// ---- allocations

// How far the budget would be passed with `bytes` more; negative: how much is left.
Bytes Step::missing_bytes(Bytes bytes) const {
  return allocator().live_bytes() + bytes - options_.limit;
}

bool Step::is_tight(Bytes bytes) const {
  return options_.limit != std::numeric_limits<Bytes>::max() && missing_bytes(bytes) > 0;
}

void Step::refuse(Bytes bytes) {
  exceeded_ = BudgetExceededInfo{options_.limit, missing_bytes(bytes), bytes, current_op_,
                                 optimizer_had_begun_};
  throw BudgetExceeded(*exceeded_);
}

void Step::before_allocate(Bytes bytes) {
  if (!is_tight(bytes)) return;
  if (!is_making_room_) make_room(missing_bytes(bytes));
  if (is_tight(bytes)) refuse(bytes);
}

void Step::after_allocate(AllocationId id, Bytes bytes) {
  if (recorder_ != nullptr && !is_busy_) recorder_->allocated(id, bytes);
}

void Step::after_free(AllocationId id, Bytes bytes) noexcept {
  if (id < first_allocation_) outcome_.dead_at_entry.push_back(id);
  if (recorder_ != nullptr) recorder_->freed(id, bytes, is_busy_);
}

}  // namespace tidemark
