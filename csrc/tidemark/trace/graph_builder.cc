#include "tidemark/trace/graph_builder.h"

#include <algorithm>

namespace tidemark {

GraphBuilder::GraphBuilder(Recorder& recorder) : recorder_(recorder) {}

StepGraph GraphBuilder::build() {
  graph_.events.reserve(recorder_.events_.size());
  for (auto& recorded : recorder_.events_) graph_.events.push_back(std::move(recorded.event));
  number_blocks();
  for (auto& block : blocks_) find_lifetime(block);
  for (std::size_t i = 0; i < blocks_.size(); ++i) add_values(static_cast<std::int32_t>(i));
  add_handles();
  for (const auto& block : blocks_) add_holds(block);
  fill_events();
  pin_filled_unseen();
  add_hidden_results();
  fill_categories();
  fill_scopes();
  fill_entry();
  return std::move(graph_);
}

// Blocks that forward ops touched come first, in order of first touch: a planned step, which sees
// forward ops only, numbers them alike.
void GraphBuilder::number_blocks() {
  Tape& tape = recorder_.tape_;
  for (std::int32_t i = 0; tape.block_of_forward_number(i) != kNone; ++i) {
    const std::int32_t block = tape.block_of_forward_number(i);
    add_block(block, tape.block(block).allocation);
  }
  for (std::int32_t i = 0; i < tape.num_blocks(); ++i) {
    if (by_tape_block_.count(i) == 0) add_block(i, tape.block(i).allocation);
  }
  for (const auto& [id, allocation] : recorder_.allocations_) {
    if (by_allocation_.count(id) == 0) add_block(kNone, id);
  }
}

std::int32_t GraphBuilder::add_block(std::int32_t tape_block, AllocationId allocation) {
  const auto index = static_cast<std::int32_t>(blocks_.size());
  Block& block = blocks_.emplace_back();
  block.tape_block = tape_block;
  block.allocation = allocation;
  if (tape_block != kNone) {
    by_tape_block_[tape_block] = index;
    block.bytes = recorder_.tape_.block(tape_block).bytes;
  }
  if (allocation != kNoAllocation) by_allocation_[allocation] = index;
  return index;
}

std::vector<Interval> GraphBuilder::closed_holds(std::int32_t tape_block) const {
  auto it = recorder_.holds_.find(tape_block);
  if (it == recorder_.holds_.end()) return {};
  std::vector<Interval> holds = it->second;
  for (auto& hold : holds) {
    if (hold.end == kNone) hold.end = graph_.num_events();
  }
  return holds;
}

void GraphBuilder::find_lifetime(Block& block) {
  const EventIndex end = graph_.num_events();
  block.death = end;
  block.is_persistent = true;
  auto it = recorder_.allocations_.find(block.allocation);
  if (it != recorder_.allocations_.end()) {
    block.bytes = it->second.bytes;
    block.birth = it->second.birth;
    if (it->second.death != kNone) {
      block.death = it->second.death;
      block.is_persistent = false;
    }
  } else if (block.tape_block != kNone) {
    // No allocation of this step: a source, or a result without bytes.
    auto made = recorder_.producers_.find({block.tape_block, 0});
    if (made != recorder_.producers_.end()) {
      block.birth = made->second;
      block.is_persistent = false;  // nobody sees it die
    }
  }
  block.is_polled = block.tape_block != kNone && recorder_.holds_.count(block.tape_block) > 0;
}

EventIndex GraphBuilder::producer(const Block& block, std::int32_t version) const {
  if (block.tape_block != kNone) {
    auto it = recorder_.producers_.find({block.tape_block, version});
    if (it != recorder_.producers_.end()) return it->second;
  }
  return version == 0 ? block.birth : kNone;
}

void GraphBuilder::add_values(std::int32_t index) {
  Block& block = blocks_[index];
  const std::int32_t last =
      block.tape_block == kNone ? 0 : recorder_.tape_.block(block.tape_block).version;
  for (std::int32_t version = 0; version <= last; ++version) {
    Value& value = graph_.values.emplace_back();
    value.block = index;
    value.version = version;
    value.bytes = block.bytes;
    value.producer = producer(block, version);
    value.overwritten_at = version < last ? producer(block, version + 1) : kNone;
    value.persistent = block.is_persistent;
    block.versions.push_back(graph_.num_values() - 1);
  }
}

// A hold of the block is cut where a write ends one version and begins the next.
void GraphBuilder::add_holds(const Block& block) {
  std::vector<Interval> holds =
      block.is_polled ? closed_holds(block.tape_block)
                      : std::vector<Interval>{{std::max(block.birth, 0), block.death}};
  for (ValueIndex index : block.versions) {
    Value& value = graph_.values[index];
    const EventIndex begin = std::max(value.producer, 0);
    const EventIndex end =
        value.overwritten_at == kNone ? graph_.num_events() : value.overwritten_at;
    for (const Interval& hold : holds) {
      const Interval piece{std::max(hold.begin, begin), std::min(hold.end, end)};
      // Gone before event 0, or written by it.
      const bool is_early_end = value.producer == kNone && piece == Interval{0, 0};
      if (piece.begin < piece.end || is_early_end) value.holds.push_back(piece);
    }
  }
}

ValueIndex GraphBuilder::value_of(ValueKey key) const {
  const Block& block = blocks_[by_tape_block_.at(key.block)];
  const auto last = static_cast<std::int32_t>(block.versions.size()) - 1;
  return block.versions[std::min(key.version, last)];
}

void GraphBuilder::add_handles() {
  HandleNumber number = 0;
  for (const auto& handle : recorder_.handles_) {
    if (handle.is_managed && !recorder_.tape_.block(handle.key.block).is_resized) {
      const EventIndex released =
          handle.released_at == kNone ? graph_.num_events() : handle.released_at;
      graph_.values[value_of(handle.key)].handles.push_back({number, handle.packed_at, released});
    }
    ++number;
  }
}

void GraphBuilder::fill_events() {
  auto push_once = [](std::vector<ValueIndex>& list, ValueIndex value) {
    if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
  };
  for (std::size_t i = 0; i < recorder_.events_.size(); ++i) {
    const auto& recorded = recorder_.events_[i];
    Event& event = graph_.events[i];
    for (ValueKey key : recorded.inputs) push_once(event.inputs, value_of(key));
    for (ValueKey key : recorded.results) push_once(event.outputs, value_of(key));
    for (const auto& [before, after] : recorded.in_place) {
      push_once(event.outputs, value_of(after));
      event.in_place.push_back({value_of(before), value_of(after)});
    }
    for (const auto& [over, result] : recorded.replays_in_place) {
      event.replays_in_place.push_back({value_of(over), value_of(result)});
    }
    for (ValueKey key : recorded.unpacked) {
      if (!recorder_.tape_.block(key.block).is_resized) push_once(event.values, value_of(key));
    }
    for (AllocationId id : recorded.frees) {
      event.frees.push_back(blocks_[by_allocation_.at(id)].versions.back());
    }
    if (recorded.host_allocation != kNoAllocation) {
      event.outputs = {blocks_[by_allocation_.at(recorded.host_allocation)].versions.front()};
    }
  }
}

// Whether what an op has made can be made again may show only later.
void GraphBuilder::pin_filled_unseen() {
  for (std::int32_t i = 0; i < recorder_.tape_.num_blocks(); ++i) {
    const auto made = recorder_.producers_.find({i, 0});
    if (!recorder_.tape_.block(i).is_filled_unseen || made == recorder_.producers_.end()) continue;
    graph_.events[made->second].pinned = "something unseen fills the memory that it leaves";
  }
}

// A block that an op made and left behind without returning it is an output all the same.
void GraphBuilder::add_hidden_results() {
  for (ValueIndex index = 0; index < graph_.num_values(); ++index) {
    const Value& value = graph_.values[index];
    if (value.producer == kNone || value.version > 0) continue;
    auto& outputs = graph_.events[value.producer].outputs;
    if (std::find(outputs.begin(), outputs.end(), index) == outputs.end()) {
      outputs.push_back(index);
    }
  }
}

Category GraphBuilder::category_of(const Block& block) const {
  auto named = recorder_.categories_.find(block.tape_block);
  const bool is_scratch = !block.is_persistent && block.birth != kNone;
  if (named != recorder_.categories_.end() &&
      !(is_scratch && named->second == Category::kOptstate)) {
    return named->second;
  }
  if (block.is_polled && !recorder_.tape_.block(block.tape_block).is_source) {
    return Category::kActivation;
  }
  if (block.birth == kNone) {
    return block.versions.size() > 1 ? Category::kBuffer : Category::kOther;
  }
  const Phase phase = graph_.events[block.birth].phase;
  if (block.is_persistent && phase == Phase::kBackward) return Category::kGradient;
  if (block.is_persistent && phase == Phase::kOptimizer) return Category::kOptstate;
  return block.is_persistent ? Category::kOther : Category::kTemp;
}

void GraphBuilder::fill_categories() {
  for (const auto& block : blocks_) {
    const Category category = category_of(block);
    for (ValueIndex index : block.versions) graph_.values[index].category = category;
  }
}

// Weights and running statistics belong to the module that reads them first.
void GraphBuilder::fill_scopes() {
  for (const Event& event : graph_.events) {
    if (event.scope.empty()) continue;
    for (ValueIndex read : event.inputs) {
      const Value& value = graph_.values[read];
      const bool is_of_a_module =
          value.category == Category::kParameter || value.category == Category::kBuffer;
      const Block& block = blocks_[value.block];
      if (!is_of_a_module || block.birth != kNone || !value.scope.empty()) continue;
      for (ValueIndex version : block.versions) graph_.values[version].scope = event.scope;
    }
  }
}

void GraphBuilder::fill_entry() {
  Bytes touched = 0;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    if (block.birth != kNone) continue;
    graph_.entry.blocks.push_back(static_cast<BlockIndex>(i));
    graph_.entry.bytes_by_category[static_cast<int>(category_of(block))] += block.bytes;
    touched += block.bytes;
  }
  graph_.entry.other_bytes = recorder_.entry_bytes_ - touched;
}

}  // namespace tidemark
