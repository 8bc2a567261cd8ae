#include "tidemark/runtime/plan_script.h"

#include <numeric>

#include "tidemark/graph/hash.h"

namespace tidemark {

std::uint64_t flow_hash(std::uint64_t name_hash, const std::vector<BlockIndex>& inputs) noexcept {
  std::uint64_t hash = name_hash;
  for (BlockIndex block : inputs) hash = hash_int(hash, block);
  return hash;
}

std::uint64_t shape_hash(const std::vector<std::string>& shapes) noexcept {
  std::uint64_t hash = kHashSeed;
  for (const auto& shape : shapes) hash = hash_bytes(shape, hash);
  return hash;
}

PlanScript::PlanScript(Plan plan) : plan_(std::move(plan)) {
  std::unordered_map<EventIndex, const EventActions*> actions;
  for (const auto& entry : plan_.actions) actions[entry.event] = &entry;
  auto actions_at = [&](EventIndex event) -> const EventActions* {
    auto it = actions.find(event);
    return it == actions.end() ? nullptr : it->second;
  };
  for (const auto& item : plan_.signature.items) {
    if (item.is_unpack) {
      unpacks_.push_back({item.handles, actions_at(item.event)});
      continue;
    }
    op_of_event_[item.event] = static_cast<std::int32_t>(ops_.size());
    ops_.push_back({flow_hash(hash_bytes(item.name), item.inputs), shape_hash(item.shapes),
                    actions_at(item.event)});
  }
  for (const auto& value : plan_.values) values_[value.value] = {value.block, value.version};
  const auto& entry = plan_.signature.entry;
  entry_bytes_ = std::accumulate(entry.bytes_by_category.begin(), entry.bytes_by_category.end(),
                                 entry.other_bytes);
}

}  // namespace tidemark
