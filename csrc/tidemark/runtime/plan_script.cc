#include "tidemark/runtime/plan_script.h"

#include <algorithm>
#include <map>
#include <set>
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
      unpacks_.push_back({item.handles, actions_at(item.event)});
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
  for (const auto& value : plan_.values) {
    values_[value.value] = {value.block, value.version};
    blocks_acted_on_.insert(value.block);
  }
  check_replays();
  mark_replayed();
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

// A value is dropped to be computed again. If one is not (the recorded step had no further use for
// it), a step that differs later may want it all the same: then any op may be replayed.
void PlanScript::mark_replayed() {
  for (const auto& entry : plan_.actions) {
    for (const Action& action : entry.actions) {
      if (action.kind == ActionKind::kReplay) ops_[forward_op_of(action.target)].is_replayed = true;
    }
  }
  std::map<BlockIndex, std::int32_t> versions;  // made so far, per block
  std::set<std::pair<BlockIndex, std::int32_t>> made_again;
  std::size_t op = 0;
  for (const auto& item : plan_.signature.items) {
    if (item.is_unpack) continue;
    for (const BlockIndex block : item.outputs) {
      const std::int32_t version = versions[block]++;
      if (ops_[op].is_replayed) made_again.emplace(block, version);
    }
    ++op;
  }
  for (const auto& entry : plan_.actions) {
    for (const Action& action : entry.actions) {
      if (action.kind != ActionKind::kDrop) continue;
      const PlannedValue value = value_of(action.target);
      if (made_again.count({value.block, value.version}) > 0) continue;
      for (ExpectedOp& expected : ops_) expected.is_replayed = true;
      return;
    }
  }
}

}  // namespace tidemark
