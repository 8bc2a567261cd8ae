#include "tidemark/trace/recorder.h"

#include <algorithm>

#include "tidemark/trace/graph_builder.h"

namespace tidemark {
Recorder::Recorder(Tape& tape, AllocationId first_allocation, Bytes entry_bytes)
    : tape_(tape), first_allocation_(first_allocation), entry_bytes_(entry_bytes) {}

void Recorder::poll() {
  for (std::size_t i = 0; i < watched_.size();) {
    const bool is_resized = tape_.block(watched_[i].key.block).is_resized;
    if (!is_resized && watched_[i].seen->is_held_by_program()) {
      ++i;
      continue;
    }
    holds_[watched_[i].key.block].back().end = num_events();
    watched_[i] = watched_.back();
    watched_.pop_back();
  }
}

SeenStorage* Recorder::storage_in_use(ValueKey key) {
  if (ValueState* value = tape_.find_value(key)) {
    if (value->kept) return value->kept.seen();
    if (value->serving) return value->serving.seen();
    if (value->restored != nullptr && !value->restored->weak.expired()) return value->restored;
  }
  return tape_.block(key.block).original;
}

void Recorder::open_hold(ValueKey key, EventIndex begin) {
  auto& holds = holds_[key.block];
  if (!holds.empty() && holds.back().end == kNone) return;
  holds.push_back({begin, kNone});
  watched_.push_back({key, storage_in_use(key)});
}

void Recorder::open_first_hold(ValueKey key) {
  auto producer = producers_.find({key.block, 0});
  open_hold(key, producer == producers_.end() ? 0 : producer->second);
}

void Recorder::begin_op() {
  is_in_op_ = true;
  op_live_ = op_peak_ = 0;
  op_allocations_.clear();
  op_frees_.clear();
}

void Recorder::end_op(OpRecord record) {
  is_in_op_ = false;
  const EventIndex index = num_events();
  RecordedEvent& recorded = events_.emplace_back();
  Event& event = recorded.event;
  event.kind = EventKind::kOp;
  event.name = record.facts->name;
  event.phase = record.phase;
  event.scope = scope_;
  event.source = source_;
  event.cost_ns = record.cost_ns;
  event.workspace_bytes = op_peak_ - std::max<Bytes>(0, op_live_);
  event.pinned = record.pinned;
  event.rng = record.facts->draws_random;
  event.shapes = std::move(record.shapes);
  for (AllocationId id : op_allocations_) {
    auto& allocation = allocations_[id];
    if (allocation.death == kNone)
      allocation.birth = index;
    else
      allocations_.erase(id);  // workspace: made and released inside the op
  }
  for (AllocationId id : op_frees_) allocations_[id].death = index + 1;
  for (ValueKey key : record.results) producers_.emplace(key, index);
  for (const auto& [before, after] : record.in_place) producers_.emplace(after, index);
  recorded.frees = op_frees_;
  recorded.inputs = std::move(record.inputs);
  recorded.results = std::move(record.results);
  recorded.in_place = std::move(record.in_place);
  recorded.replays_in_place = std::move(record.replays_in_place);
}

void Recorder::allocated(AllocationId id, Bytes bytes) {
  allocations_[id] = {bytes, num_events(), kNone};
  if (is_in_op_) {
    op_allocations_.push_back(id);
    op_live_ += bytes;
    op_peak_ = std::max(op_peak_, op_live_);
    return;
  }
  poll();
  RecordedEvent& recorded = events_.emplace_back();
  recorded.event.kind = EventKind::kHost;
  recorded.event.name = "host";
  recorded.event.phase = Phase::kOther;
  recorded.event.scope = scope_;
  recorded.event.source = source_;
  recorded.host_allocation = id;
}

void Recorder::freed(AllocationId id, Bytes bytes, bool by_eviction) {
  auto known = allocations_.find(id);
  if (known == allocations_.end()) {
    if (id >= first_allocation_) return;  // a block that a replay made
    known = allocations_.emplace(id, AllocationRecord{bytes, kNone, kNone}).first;
  }
  AllocationRecord& allocation = known->second;
  const bool is_made_in_op = is_in_op_ && std::find(op_allocations_.begin(), op_allocations_.end(),
                                                    id) != op_allocations_.end();
  allocation.death = num_events();
  if (!is_in_op_ || by_eviction) return;
  op_live_ -= bytes;
  if (!is_made_in_op) op_frees_.push_back(id);
}

void Recorder::pack(HandleNumber number, ValueKey key, bool is_managed) {
  if (number >= static_cast<HandleNumber>(handles_.size())) handles_.resize(number + 1);
  handles_[number] = {key, is_managed, std::max(0, num_events() - 1), kNone};
  if (!is_managed || tape_.block(key.block).is_source) return;
  if (holds_.count(key.block) > 0) return open_hold(key, num_events() - 1);
  open_first_hold(key);
}

void Recorder::refer(ValueKey key) {
  const TapeBlock& block = tape_.block(key.block);
  // A source of another allocator counts to the end of the step, whoever holds it.
  if (block.is_source && block.allocation == kNoAllocation) return;
  if (holds_.count(key.block) == 0) open_first_hold(key);
}

void Recorder::release(HandleNumber number) { handles_[number].released_at = num_events(); }

void Recorder::unpack(HandleNumber number, const void* node, const std::string& node_name) {
  const bool continues_run = !events_.empty() && events_.back().event.kind == EventKind::kUnpack &&
                             events_.back().node == node;
  auto contains = [&] {
    const auto& handles = events_.back().event.handles;
    return std::find(handles.begin(), handles.end(), number) != handles.end();
  };
  if (!continues_run || contains()) {
    poll();
    RecordedEvent& recorded = events_.emplace_back();
    recorded.event.kind = EventKind::kUnpack;
    recorded.event.name = node_name;
    recorded.event.phase = Phase::kBackward;
    recorded.event.scope = scope_;
    recorded.node = node;
  }
  events_.back().event.handles.push_back(number);
}

void Recorder::served(ValueKey key) {
  events_.back().unpacked.push_back(key);
  if (!tape_.block(key.block).is_source) open_hold(key, num_events() - 1);
}

void Recorder::set_place(std::string scope, std::string source) {
  scope_ = std::move(scope);
  source_ = std::move(source);
}

StepGraph Recorder::finish(Bytes foreign_bytes) {
  entry_bytes_ += foreign_bytes;
  poll();
  return GraphBuilder(*this).build();
}

}  // namespace tidemark
