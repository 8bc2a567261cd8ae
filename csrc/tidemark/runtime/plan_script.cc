#include "tidemark/runtime/plan_script.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "tidemark/graph/hash.h"
#include "tidemark/plan/simulate.h"
#include "tidemark/trace/shape_text.h"

namespace tidemark {

namespace {

std::uint64_t flow_hash(std::uint64_t name_hash, const std::vector<BlockIndex>& inputs) {
  std::uint64_t hash = name_hash;
  for (const BlockIndex block : inputs) hash = hash_int(hash, block);
  return hash;
}

std::uint64_t shape_hash(const std::vector<std::string>& shapes) {
  std::uint64_t hash = kHashSeed;
  for (const auto& shape : shapes) hash = hash_shape_text(shape, hash);
  return hash;
}

}  // namespace

PlanScript::PlanScript(Plan plan, bool is_trusted)
    : plan_(std::move(plan)), is_trusted_(is_trusted) {
  std::unordered_map<EventIndex, const EventActions*> actions;
  for (const auto& entry : plan_.actions) actions[entry.event] = &entry;
  auto actions_at = [&](EventIndex event) -> const EventActions* {
    auto it = actions.find(event);
    return it == actions.end() ? nullptr : it->second;
  };
  for (const auto& item : plan_.signature.items) {
    if (item.is_unpack) {
      unpacks_.push_back({{}, actions_at(item.event)});
      tail_begin_ = ops_.size();
      continue;
    }
    op_of_event_[item.event] = static_cast<std::int32_t>(ops_.size());
    const std::uint64_t name_hash = hash_bytes(item.name);
    ops_.push_back({name_hash, flow_hash(name_hash, item.inputs), shape_hash(item.shapes),
                    actions_at(item.event)});
    if (ops_.back().actions != nullptr) tail_begin_ = ops_.size();
  }
  if (unpacks_.empty()) tail_begin_ = ops_.size();
  for (const auto& value : plan_.values) values_[value.value] = {value.block, value.version};
  lay_out_handles();
  mark_acted_on();
  check_replays();
  entry_bytes_ = plan_.signature.entry.total_bytes();
}

PlanScript::PlanScript(Plan plan, const StepGraph& graph) : PlanScript(std::move(plan)) {
  const std::vector<Reading> curve = simulate(graph, plan_).curve;
  std::vector<Bytes> peak_from_event(curve.size() + 1, 0);
  for (std::size_t event = curve.size(); event-- > 0;) {
    peak_from_event[event] = std::max(peak_from_event[event + 1], curve[event].peak);
  }
  peak_from_op_.assign(ops_.size(), 0);
  for (const auto& [event, op] : op_of_event_) peak_from_op_[op] = peak_from_event[event];
}

Bytes PlanScript::peak_from(std::size_t op) const {
  if (peak_from_op_.empty()) return plan_.peak_bytes;
  return op < peak_from_op_.size() ? peak_from_op_[op] : 0;
}

void PlanScript::lay_out_handles() {
  for (const auto& item : plan_.signature.items) {
    if (!item.is_unpack) continue;
    handles_.insert(handles_.end(), item.handles.begin(), item.handles.end());
  }
  std::span<const HandleNumber> rest(handles_);
  std::size_t unpack = 0;
  for (const auto& item : plan_.signature.items) {
    if (!item.is_unpack) continue;
    unpacks_[unpack++].handles = rest.first(item.handles.size());
    rest = rest.subspan(item.handles.size());
  }
}

// Forward numbers have no gaps: one beyond all that the signature names is of no block.
void PlanScript::mark_acted_on() {
  std::size_t num_named = 0;
  for (const auto& item : plan_.signature.items)
    num_named += item.inputs.size() + item.outputs.size();
  for (const auto& value : plan_.values) {
    const auto block = static_cast<std::size_t>(value.block);
    if (value.block < 0 || block >= num_named) continue;
    if (block >= is_acted_on_.size()) is_acted_on_.resize(block + 1);
    is_acted_on_[block] = true;
  }
}

void PlanScript::check_replays() const {
  for (const auto& entry : plan_.actions) {
    for (const Action& action : entry.actions) {
      if (action.kind != ActionKind::kReplay || op_of_event_.count(action.target) > 0) continue;
      throw std::invalid_argument("plan: actions of event " + std::to_string(entry.event) +
                                  " replay event " + std::to_string(action.target) +
                                  ", which is no forward op of the plan's signature");
    }
  }
}

}  // namespace tidemark
