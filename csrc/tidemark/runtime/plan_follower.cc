#include "tidemark/runtime/plan_follower.h"

#include <algorithm>
#include <utility>

#include "tidemark/graph/hash.h"
#include "tidemark/runtime/busy.h"
#include "tidemark/runtime/replay.h"
#include "tidemark/runtime/saved_handle.h"
#include "tidemark/trace/shape_text.h"

namespace tidemark {
namespace {

std::uint64_t shape_hash(at::ArrayRef<c10::IValue> returns) {
  std::uint64_t hash = kHashSeed;
  for (const auto& value : returns) {
    visit_tensors(value, [&](int, const at::Tensor& tensor) {
      if (is_plain(tensor)) hash = hash_shape(tensor, hash);
    });
  }
  return hash;
}

// Whether the plan acts within so many first ops and unpacks.
bool acts_before(const PlanScript& script, std::size_t num_ops, std::size_t num_unpacks) {
  auto acts = [](const auto& events, std::size_t size) {
    const auto end = events.begin() + static_cast<std::ptrdiff_t>(std::min(size, events.size()));
    return std::any_of(events.begin(), end, [](const auto& event) { return event.actions; });
  };
  return acts(script.ops(), num_ops) || acts(script.unpacks(), num_unpacks);
}

bool is_unpacked_by(const ExpectedUnpack& event, const SavedHandle& handle) {
  const auto& numbers = event.handles;
  return std::find(numbers.begin(), numbers.end(), handle.number) != numbers.end();
}

bool has_flow(const ExpectedOp& expected, const OpHashes& hashes) {
  return hashes.flow ? expected.flow_hash == *hashes.flow : expected.name_hash == hashes.name;
}

// Whether the plan keeps what no handle needs: dropping it only lets it go.
bool is_for_replays_alone(const ValueState& value) { return value.kept && value.num_handles == 0; }

bool are_equal(const ExpectedOp& a, const ExpectedOp& b) {
  return a.flow_hash == b.flow_hash && a.shape_hash == b.shape_hash;
}

}  // namespace

bool UnknownForm::is_start_of(const std::vector<ExpectedOp>& ops) const {
  if (ops.size() <= num_equal) return false;
  const auto& known = script->ops();
  return std::equal(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(num_equal),
                    ops.begin(), are_equal) &&
         ops[num_equal].name_hash == name_hash && ops[num_equal].shape_hash == shape_hash;
}

PlanFollower::PlanFollower(Tape& tape, std::vector<SavedHandle*>& handles, bool& is_busy,
                           std::shared_ptr<const PlanScript> script,
                           std::vector<std::shared_ptr<const PlanScript>> alternatives,
                           bool is_exact)
    : tape_(tape),
      handles_(handles),
      is_busy_(is_busy),
      script_(std::move(script)),
      alternatives_(std::move(alternatives)),
      kind_(script_ == nullptr ? StepKind::kWatched
            : is_exact         ? StepKind::kPlanned
                               : StepKind::kAdapted),
      is_following_(script_ != nullptr) {}

bool PlanFollower::drops_anything() const {
  return (script_ != nullptr && script_->drops_anything()) ||
         std::any_of(alternatives_.begin(), alternatives_.end(),
                     [](const auto& other) { return other->drops_anything(); });
}

bool PlanFollower::is_done() const {
  return kind_ == StepKind::kPlanned && num_executed_ > 0 &&
         num_executed_ == script_->plan().actions.size() && tape_.num_dropped() == 0;
}

bool PlanFollower::leaves_alone(std::int32_t block) const {
  if (kind_ != StepKind::kPlanned) return false;
  const std::int32_t number = tape_.block(block).forward_number;
  if (number == kNone) return true;  // no forward op has touched it yet: it is older than the step
  if (script_->acts_on(number)) return false;
  return !may_switch() || std::none_of(alternatives_.begin(), alternatives_.end(),
                                       [&](const auto& other) { return other->acts_on(number); });
}

bool PlanFollower::is_in_tail() const {
  return kind_ == StepKind::kPlanned && !may_switch() && next_op_ > script_->tail_begin() &&
         num_executed_ == script_->plan().actions.size() && tape_.num_dropped() == 0;
}

void PlanFollower::note_eviction() {
  if (kind_ == StepKind::kPlanned)
    differ(StepKind::kAdapted, "more was alive than was planned for");
}

void PlanFollower::differ(StepKind kind, std::string what) {
  if (kind == StepKind::kDiverged && is_following_) {
    is_following_ = false;
    secure_dropped();
  }
  if (difference_.empty() || kind == StepKind::kDiverged) difference_ = std::move(what);
  kind_ = kind;
}

ValueKey PlanFollower::key_of(ValueIndex value) const {
  const PlannedValue place = script_->value_of(value);
  return {tape_.block_of_forward_number(place.block), place.version};
}

void PlanFollower::op_ended(const TapedOp& op, at::ArrayRef<c10::IValue> returns) {
  const ExpectedOp* expected = expected_op();
  const std::uint64_t shape = shape_hash(returns);
  if (expected == nullptr || expected->flow_hash != op.flow_hash || expected->shape_hash != shape) {
    note_difference(*op.facts, {op.facts->name_hash, op.flow_hash, shape});
    if (!is_following_) return;
  }
  const EventActions* actions = script_->ops()[next_op_++].actions;
  if (actions != nullptr) act(*actions, {});
}

void PlanFollower::untaped_op_ended(const OpFacts& facts, at::ArrayRef<c10::IValue> returns) {
  const ExpectedOp* expected = expected_op();
  const std::uint64_t shape = shape_hash(returns);
  if (expected == nullptr || expected->name_hash != facts.name_hash ||
      expected->shape_hash != shape) {
    note_difference(facts, {facts.name_hash, std::nullopt, shape});
  }
  ++next_op_;
}

const ExpectedOp* PlanFollower::expected_op() const {
  const auto& ops = script_->ops();
  return next_op_ < ops.size() ? &ops[next_op_] : nullptr;
}

void PlanFollower::note_difference(const OpFacts& facts, const OpHashes& hashes) {
  if (switch_script(hashes)) return;
  const ExpectedOp* expected = expected_op();
  const bool is_same_flow = expected != nullptr && has_flow(*expected, hashes);
  const std::string where = "forward op " + std::to_string(next_op_) + " (" + facts.name + ")";
  if (kind_ == StepKind::kPlanned) {
    unknown_form_ = UnknownForm{script_, next_op_, hashes.name, hashes.shape};
  }
  if (!is_same_flow) {
    return differ(StepKind::kDiverged, where + ": another op or other inputs were planned");
  }
  differ(StepKind::kAdapted, where + ": other sizes were planned");
}

// Another script that agrees with everything so far; none once the present one has acted, nor one
// that should have: what it would have kept may be gone.
bool PlanFollower::switch_script(const OpHashes& hashes) {
  if (!may_switch()) return false;
  const std::size_t index = next_op_;
  for (const auto& other : alternatives_) {
    const auto& ops = other->ops();
    if (ops.size() <= index || ops[index].shape_hash != hashes.shape) continue;
    if (!has_flow(ops[index], hashes) || !can_take_over(*other)) continue;
    script_ = other;
    return true;
  }
  return false;
}

// Whether it began like this and has nothing undone. REQUIRES: it is as long as the step is by now.
bool PlanFollower::can_take_over(const PlanScript& other) const {
  const auto& known = script_->ops();
  const auto end = known.begin() + static_cast<std::ptrdiff_t>(next_op_);
  return std::equal(known.begin(), end, other.ops().begin(), are_equal) &&
         !acts_before(other, next_op_, next_unpack_);
}

void PlanFollower::step_ended() {
  if (!may_switch() || next_op_ == script_->ops().size()) return;
  for (const auto& other : alternatives_) {
    if (other->ops().size() == next_op_ && can_take_over(*other)) script_ = other;
  }
}

void PlanFollower::before_unpack(const SavedHandle& first) {
  const auto& expected = script_->unpacks();
  if (next_unpack_ >= expected.size() || !is_unpacked_by(expected[next_unpack_], first)) {
    return note_other_unpack(first);
  }
  const ExpectedUnpack& event = expected[next_unpack_++];
  c10::SmallVector<SavedHandle*, 8> served;
  for (HandleNumber number : event.handles) {
    const bool is_known = number >= 0 && number < std::ssize(handles_);
    SavedHandle* handle = is_known ? handles_[number] : nullptr;
    if (handle == nullptr || handle->is_pending) continue;
    handle->is_pending = true;
    if (!handle->is_managed()) continue;
    ++handle->value->num_pending;
    served.push_back(handle);
  }
  if (event.actions != nullptr) act(*event.actions, served);
  for (SavedHandle* handle : served) {
    ValueState& value = *handle->value;
    if (!value.kept && !value.serving) value.serving = tape_.find(value.key);
  }
}

void PlanFollower::note_other_unpack(const SavedHandle& first) {
  const std::string where = "unpack " + std::to_string(next_unpack_);
  if (next_unpack_ >= script_->unpacks().size()) {
    return differ(StepKind::kDiverged, where + ": the planned step had no further one");
  }
  differ(StepKind::kDiverged,
         where + ": saved tensor " + std::to_string(first.number) + " was not planned here");
}

void PlanFollower::act(const EventActions& actions, c10::ArrayRef<SavedHandle*> served) {
  const bool is_checked = script_->is_trusted() || kind_ == StepKind::kPlanned;
  for (const Action& action : actions.actions) {
    if (is_checked && action.kind != ActionKind::kReplay && key_of(action.target).block == kNone) {
      return differ(StepKind::kDiverged, "the plan names a value that no op has shown yet");
    }
  }
  const Busy busy(is_busy_);
  ++num_executed_;
  execute(is_checked ? actions.actions : possible_part(actions.actions), served);
}

// Of what a plan from elsewhere asks: keeping what is there or can be made again, and dropping what
// can. What that takes is held until then, as for a value that was evicted. Its replays run where
// nothing they read is missing: they are what the plan's peak was promised with.
std::vector<Action> PlanFollower::possible_part(const std::vector<Action>& asked) {
  std::vector<Action> possible;
  AnchorSearch search(tape_);
  for (const Action& action : asked) {
    if (action.kind == ActionKind::kReplay) {
      possible.push_back(action);
      continue;
    }
    const ValueKey key = key_of(action.target);
    if (key.block == kNone || key.version < 0) continue;
    const bool is_keep = action.kind == ActionKind::kKeep;
    if (is_keep ? tape_.is_resident(key) : is_for_replays_alone(tape_.value(key))) {
      possible.push_back(action);
    } else if (search.is_recomputable(key)) {
      possible.push_back(action);
      if (is_keep) continue;
      ValueState& value = tape_.value(key);
      hold_anchors(value, search);
      value.has_spare_anchors = true;
    }
  }
  return possible;
}

void PlanFollower::hold_anchors(ValueState& value, AnchorSearch& search) {
  value.anchors = search.anchors(value.key);
  value.has_spare_anchors = false;
  for (const Ref& anchor : value.anchors) {
    const SeenStorage& seen = *anchor.seen();
    if (recorder_ == nullptr || seen.version != kNone) continue;
    recorder_->refer({seen.block, tape_.block(seen.block).version});
  }
}

// The plan that would have restored what it dropped is left: what that takes must not go meanwhile.
void PlanFollower::secure_dropped() {
  AnchorSearch search(tape_);
  tape_.values().for_each([&](ValueState& value) {
    if (!value.is_dropped) return;
    if (Ref resident = tape_.find(value.key)) {
      value.kept = std::move(resident);
      tape_.set_dropped(value, false);
    } else if (value.num_handles > 0 && search.is_recomputable(value.key)) {
      hold_anchors(value, search);
    }
  });
}

// Replays, then keeps, then drops. A drop leaves the handles about to be served their value.
void PlanFollower::execute(const std::vector<Action>& actions, c10::ArrayRef<SavedHandle*> served) {
  std::vector<std::int32_t> ops;
  ValueSet targets;
  for (const SavedHandle* handle : served) targets.insert(handle->value->key);
  for (const Action& action : actions) {
    if (action.kind == ActionKind::kReplay) {
      ops.push_back(script_->forward_op_of(action.target));
    } else if (action.kind == ActionKind::kKeep) {
      targets.insert(key_of(action.target));
    }
  }
  std::vector<Ref> held;  // the replays must not be given room by what is asked for itself
  if (kind_ == StepKind::kAdapted) {  // what the plan reads may have been given back
    std::vector<ValueKey> missing;
    for (const ValueKey key : targets) {
      if (Ref resident = tape_.find(key)) held.push_back(std::move(resident));
      const ValueState& value = tape_.value(key);
      if (!value.kept && !value.serving) missing.push_back(key);
    }
    std::sort(ops.begin(), ops.end());
    ops.erase(std::unique(ops.begin(), ops.end()), ops.end());
    if (!can_replay(tape_, ops, missing)) ops = replay_closure(tape_, missing);
  }
  RestoredValues restored = replay(tape_, ops, targets);
  num_replays_ += static_cast<std::int64_t>(ops.size());
  for (auto& [key, ref] : restored) {
    ValueState& value = tape_.value(key);
    if (value.num_pending > 0 && !value.kept) value.serving = std::move(ref);
    if (!value.anchors.empty() && !is_dropped_by(actions, key)) value.anchors.clear();
  }
  for (const Action& action : actions) {
    if (action.kind == ActionKind::kKeep) keep(key_of(action.target), restored);
    if (action.kind == ActionKind::kDrop) drop(tape_.value(key_of(action.target)));
  }
}

bool PlanFollower::is_dropped_by(const std::vector<Action>& actions, ValueKey key) const {
  return std::any_of(actions.begin(), actions.end(), [&](const Action& action) {
    return action.kind == ActionKind::kDrop && key_of(action.target) == key;
  });
}

void PlanFollower::keep(ValueKey key, RestoredValues& restored) {
  auto fresh = restored.find(key);
  const bool is_fresh = fresh != restored.end() && fresh->second;
  Ref ref = is_fresh ? std::move(fresh->second) : tape_.find(key);
  TORCH_INTERNAL_ASSERT(ref, "tidemark: the plan keeps a value that is not in memory");
  if (recorder_ != nullptr && ref.seen()->version == kNone) recorder_->refer(key);
  ValueState& value = tape_.value(key);
  value.kept = std::move(ref);
  tape_.set_dropped(value, false);
}

void PlanFollower::drop(ValueState& value) {
  if (is_for_replays_alone(value)) return value.kept.reset();
  tape_.set_dropped(value, true);
  if (value.num_pending > 0 && !value.serving) value.serving = std::move(value.kept);
  value.kept.reset();
}

}  // namespace tidemark
