#include "tidemark/report/composition.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

namespace tidemark {
namespace {

// One action on a value, or the replay that restores it.
struct Step {
  EventIndex event;
  ActionKind kind;
};

using History = std::vector<Step>;

EventIndex end_of_handles(const Value& value) {
  EventIndex end = 0;
  for (const Handle& handle : value.handles) end = std::max(end, handle.released_at);
  return end;
}

// Until when the program itself holds `value`, seen from `event`; `event` if it does not.
EventIndex end_of_hold(const Value& value, EventIndex event) {
  EventIndex end = event;
  for (const Interval& hold : value.holds) {
    if (hold.begin <= end && end <= hold.end) end = std::max(end, hold.end);
  }
  return end;
}

bool is_served(const Event& event, ValueIndex value) {
  return event.kind == EventKind::kUnpack &&
         std::find(event.values.begin(), event.values.end(), value) != event.values.end();
}

class Residency {
 public:
  Residency(const StepGraph& graph, const Plan& plan, EventIndex now) : graph_(graph), now_(now) {
    for (const EventActions& at : plan.actions) {
      if (at.event > now) break;
      for (const Action& action : at.actions) note(at.event, action);
    }
  }

  std::optional<ResidentValue> find(ValueIndex index) const {
    const Value& value = graph_.values[static_cast<std::size_t>(index)];
    const EventIndex birth = std::max<EventIndex>(value.producer, 0);
    if (now_ < birth) return std::nullopt;
    const EventIndex hold_end = value.holds.empty() ? birth : value.holds.back().end;
    bool restored = false;
    EventIndex end = std::max({birth + 1, hold_end, end_of_handles(value)});
    if (auto found = history_.find(index); found != history_.end()) {
      for (const Step& step : found->second) follow(index, value, step, end, restored);
    }
    if (now_ >= end) return std::nullopt;
    return ResidentValue{.value = index, .is_restored = restored};
  }

 private:
  void note(EventIndex event, const Action& action) {
    if (action.kind != ActionKind::kReplay) {
      history_[action.target].push_back({event, action.kind});
      return;
    }
    for (ValueIndex output : graph_.events[static_cast<std::size_t>(action.target)].outputs) {
      history_[output].push_back({event, ActionKind::kReplay});
    }
  }

  // Moves the `end` of the value's life as one action does.
  void follow(ValueIndex index, const Value& value, const Step& step, EventIndex& end,
              bool& restored) const {
    switch (step.kind) {
      case ActionKind::kDrop:
        end = std::min(end, end_of_hold(value, step.event));
        break;
      case ActionKind::kKeep:
        if (end <= step.event) restored = true;  // Only a replay of this event can be kept here.
        // Held to the last handle, or, when nothing was saved, to the block's next version.
        end = std::max(end, value.handles.empty() ? end_of_version(value) : end_of_handles(value));
        break;
      case ActionKind::kReplay:
        if (step.event < end) break;  // Resident: the duplicate goes at once.
        if (!is_served(graph_.events[static_cast<std::size_t>(step.event)], index)) break;
        restored = true;
        end = std::max(step.event + 1, end_of_hold(value, step.event));
        break;
    }
  }

  EventIndex end_of_version(const Value& value) const {
    return value.overwritten_at == kNone ? graph_.num_events() : value.overwritten_at;
  }

  const StepGraph& graph_;
  EventIndex now_;
  std::unordered_map<ValueIndex, History> history_;
};

}  // namespace

std::vector<ResidentValue> resident_values(const StepGraph& graph, const Plan& plan,
                                           EventIndex event) {
  const Residency residency(graph, plan, event);
  std::map<BlockIndex, ResidentValue> newest;
  std::vector<ResidentValue> result;
  for (ValueIndex index = 0; index < graph.num_values(); ++index) {
    auto resident = residency.find(index);
    if (!resident) continue;
    if (resident->is_restored) {
      result.push_back(*resident);
      continue;
    }
    auto [at, is_new] = newest.try_emplace(graph.values[index].block, *resident);
    if (!is_new && graph.values[at->second.value].version < graph.values[index].version) {
      at->second = *resident;
    }
  }
  for (const auto& [block, resident] : newest) result.push_back(resident);
  std::sort(result.begin(), result.end(),
            [](const auto& a, const auto& b) { return a.value < b.value; });
  return result;
}

std::string scope_of(const StepGraph& graph, ValueIndex index) {
  const Value& value = graph.values[static_cast<std::size_t>(index)];
  if (!value.scope.empty()) return value.scope;
  if (value.producer != kNone) {
    const Event& producer = graph.events[static_cast<std::size_t>(value.producer)];
    if (!producer.scope.empty()) return producer.scope;
  }
  return "(" + std::string(to_string(value.category)) + ")";
}

}  // namespace tidemark
