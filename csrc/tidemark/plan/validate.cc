#include "tidemark/plan/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace tidemark {
namespace {

// Where a value's bytes lie, and the event at whose start they are gone.
struct Place {
  ValueIndex value = kNone;
  bool is_new_block = false;  // filled by a replay
  EventIndex end = 0;
};

using Answer = std::optional<Violation>;

class Recount {
 public:
  Recount(const StepGraph& graph, const Plan& plan) : graph_(graph), plan_(plan) {}

  Answer check();

 private:
  Answer check_shape() const;
  Answer check_list(const EventActions& list) const;
  Answer check_action(EventIndex at, const Action& action) const;
  Answer check_named_values() const;
  Answer check_promises() const;

  Answer walk(EventIndex e);
  Answer run_list(EventIndex e, const std::vector<ValueIndex>& served);
  Answer run_replays(EventIndex e, const EventActions& list, const std::set<ValueIndex>& wanted);
  Answer serve(EventIndex e, const std::vector<ValueIndex>& served);
  Answer run_keep(EventIndex e, ValueIndex v);
  Answer run_drop(EventIndex e, ValueIndex v);
  void make_outputs(EventIndex e);

  const EventActions* list_at(EventIndex e) const;
  bool acts_before(EventIndex e) const {
    return graph_.events[e].kind == EventKind::kUnpack || !graph_.has_runtime_actions;
  }
  EventIndex last_moment(ValueIndex v, const Interval& hold) const;
  EventIndex end_by_handles(ValueIndex v) const;
  EventIndex end_by_holds(ValueIndex v) const;
  EventIndex end_of_current_hold(ValueIndex v, EventIndex e) const;
  bool at_its_version(ValueIndex v, EventIndex e) const;
  bool can_be_read(ValueIndex v, EventIndex e) const;
  bool has_place(ValueIndex v) const;
  bool is_statistic(const Event& op, ValueIndex v) const;
  Bytes count() const;

  const StepGraph& graph_;
  const Plan& plan_;
  std::vector<Place> places_;
  std::map<ValueIndex, int> temporaries_;  // value to replays of the list that still read it
  std::set<ValueIndex> dropped_early_;
  Bytes highest_ = 0;
  Nanoseconds recompute_ns_ = 0;
  std::int64_t num_replays_ = 0;
};

Answer broken(Rule rule, EventIndex event, ValueIndex value, std::string sentence) {
  return Violation{.rule = rule, .event = event, .value = value, .sentence = std::move(sentence)};
}

EventIndex Recount::last_moment(ValueIndex v, const Interval& hold) const {
  // The op that writes over a value, or frees it, still finds it.
  if (hold.end == graph_.values[v].overwritten_at) return hold.end + 1;
  if (hold.end < graph_.num_events())
    for (ValueIndex freed : graph_.events[hold.end].frees)
      if (freed == v) return hold.end + 1;
  return hold.end;
}

EventIndex Recount::end_by_holds(ValueIndex v) const {
  EventIndex end = 0;
  for (const Interval& hold : graph_.values[v].holds) end = std::max(end, last_moment(v, hold));
  return end;
}

EventIndex Recount::end_by_handles(ValueIndex v) const {
  EventIndex end = 0;
  for (const Handle& handle : graph_.values[v].handles) end = std::max(end, handle.released_at);
  return end;
}

EventIndex Recount::end_of_current_hold(ValueIndex v, EventIndex e) const {
  for (const Interval& hold : graph_.values[v].holds)
    if (e >= hold.begin && e < last_moment(v, hold)) return last_moment(v, hold);
  return kNone;
}

bool Recount::at_its_version(ValueIndex v, EventIndex e) const {
  const Value& value = graph_.values[v];
  const EventIndex now = acts_before(e) ? e : e + 1;  // events below `now` have run
  return value.producer < now && (value.overwritten_at == kNone || value.overwritten_at >= now);
}

bool Recount::has_place(ValueIndex v) const {
  return std::ranges::any_of(places_, [v](const Place& p) { return p.value == v; });
}

bool Recount::can_be_read(ValueIndex v, EventIndex e) const {
  for (const Place& place : places_) {
    if (place.is_new_block && place.value == v) return true;
    const bool same_block = graph_.values[place.value].block == graph_.values[v].block;
    if (!place.is_new_block && same_block && at_its_version(v, e)) return true;
  }
  return false;
}

bool Recount::is_statistic(const Event& op, ValueIndex v) const {
  for (const InPlace& write : op.in_place)
    if (write.input == v && graph_.values[v].category == Category::kBuffer) return true;
  return false;
}

Bytes Recount::count() const {
  Bytes total = graph_.entry.other_bytes;
  std::set<BlockIndex> seen;
  for (const Place& place : places_)
    if (place.is_new_block || seen.insert(graph_.values[place.value].block).second)
      total += graph_.values[place.value].bytes;
  for (const auto& [value, reads] : temporaries_) total += graph_.values[value].bytes;
  return total;
}

const EventActions* Recount::list_at(EventIndex e) const {
  for (const EventActions& list : plan_.actions)
    if (list.event == e) return &list;
  return nullptr;
}

Answer Recount::check_action(EventIndex at, const Action& action) const {
  if (action.kind != ActionKind::kReplay) {
    if (action.target >= 0 && action.target < graph_.num_values()) return {};
    return broken(Rule::kBadId, at, kNone,
                  fmt::format("event {} names value {}, the graph has {} values", at, action.target,
                              graph_.num_values()));
  }
  const bool exists = action.target >= 0 && action.target < graph_.num_events();
  if (!exists || graph_.events[action.target].kind != EventKind::kOp || action.target >= at)
    return broken(
        Rule::kBadId, at, kNone,
        fmt::format("event {} replays event {}, which is no earlier op", at, action.target));
  const Event& op = graph_.events[action.target];
  const bool untaped = graph_.has_runtime_actions && op.phase == Phase::kBackward;
  if (op.pinned.empty() && !untaped) return {};
  return broken(
      Rule::kPinnedReplay, at, kNone,
      fmt::format("event {} replays {} (event {}), which cannot be replayed: {}", at, op.name,
                  action.target, untaped ? "ops of the backward pass are not taped" : op.pinned));
}

Answer Recount::check_list(const EventActions& list) const {
  if (list.event < 0 || list.event >= graph_.num_events())
    return broken(Rule::kBadId, list.event, kNone, fmt::format("there is no event {}", list.event));
  if (!is_actionable(graph_, list.event))
    return broken(Rule::kNotActionable, list.event, kNone,
                  fmt::format("the runtime cannot act at event {} ({})", list.event,
                              graph_.events[list.event].name));
  for (std::size_t i = 0; i < list.actions.size(); ++i) {
    if (Answer bad = check_action(list.event, list.actions[i])) return bad;
    if (i == 0) continue;
    const Action& last = list.actions[i - 1];
    const Action& here = list.actions[i];
    const bool ascends = here.kind != ActionKind::kReplay || here.target > last.target;
    if (here.kind > last.kind || (here.kind == last.kind && ascends)) continue;
    return broken(Rule::kActionOrder, list.event, kNone,
                  fmt::format("event {}: actions must be replays in op order, then keeps, then "
                              "drops",
                              list.event));
  }
  return {};
}

Answer Recount::check_named_values() const {
  std::set<ValueIndex> named;
  for (const EventActions& list : plan_.actions)
    for (const Action& action : list.actions)
      if (action.kind != ActionKind::kReplay) named.insert(action.target);
  std::set<ValueIndex> listed;
  for (const PlanValue& entry : plan_.values) {
    const bool exists = entry.value >= 0 && entry.value < graph_.num_values();
    if (!exists || graph_.values[entry.value].block != entry.block ||
        graph_.values[entry.value].version != entry.version)
      return broken(Rule::kBadId, kNone, entry.value,
                    fmt::format("value {} is not block {} version {} in this graph", entry.value,
                                entry.block, entry.version));
    listed.insert(entry.value);
  }
  if (named == listed) return {};
  return broken(Rule::kBadId, kNone, kNone,
                "the plan's table of values is not the set of values that its actions name");
}

Answer Recount::check_shape() const {
  for (std::size_t i = 0; i < plan_.actions.size(); ++i) {
    if (Answer bad = check_list(plan_.actions[i])) return bad;
    if (i > 0 && plan_.actions[i].event <= plan_.actions[i - 1].event)
      return broken(Rule::kActionOrder, plan_.actions[i].event, kNone,
                    fmt::format("event {} comes after event {}", plan_.actions[i].event,
                                plan_.actions[i - 1].event));
  }
  return check_named_values();
}

void Recount::make_outputs(EventIndex e) {
  const Event& event = graph_.events[e];
  for (ValueIndex v : event.outputs) {
    EventIndex end = std::max(end_by_holds(v), end_by_handles(v));
    if (dropped_early_.contains(v)) end = last_moment(v, graph_.values[v].holds.front());
    if (end > e) places_.push_back({.value = v, .is_new_block = false, .end = end});
  }
  std::erase_if(places_, [&](const Place& place) {
    return std::ranges::count(event.frees, place.value) > 0 && place.end <= e + 1;
  });
}

Answer Recount::run_replays(EventIndex e, const EventActions& list,
                            const std::set<ValueIndex>& wanted) {
  std::map<ValueIndex, int> readers;
  for (const Action& action : list.actions)
    if (action.kind == ActionKind::kReplay)
      for (ValueIndex v : graph_.events[action.target].inputs)
        if (!is_statistic(graph_.events[action.target], v)) ++readers[v];
  for (const Action& action : list.actions) {
    if (action.kind != ActionKind::kReplay) break;
    const Event& op = graph_.events[action.target];
    for (ValueIndex v : op.inputs)
      if (!is_statistic(op, v) && !temporaries_.contains(v) && !can_be_read(v, e))
        return broken(Rule::kMissingInput, e, v,
                      fmt::format("event {} replays {} (event {}), whose input value {} is not "
                                  "there at its version",
                                  e, op.name, action.target, v));
    const auto is_spent = [&](ValueIndex v) {
      return temporaries_.contains(v) && readers[v] == 1 && !wanted.contains(v);
    };
    Bytes clones = 0;
    Bytes made = 0;
    std::set<ValueIndex> results(op.outputs.begin(), op.outputs.end());
    for (const InPlace& write : op.in_place) {
      if (is_statistic(op, write.input)) {
        results.erase(write.output);
        continue;
      }
      made -= graph_.values[write.output].bytes;
      // A moved temporary is counted as its output below, and no longer as itself.
      if (!is_spent(write.input)) clones += graph_.values[write.input].bytes;
    }
    for (ValueIndex v : results) made += graph_.values[v].bytes;
    for (const InPlace& over : op.replays_in_place)
      if (is_spent(over.input)) made -= graph_.values[over.output].bytes;
    Bytes freed = 0;
    for (ValueIndex v : op.frees) freed += graph_.values[v].bytes;
    const Bytes burst = std::max<Bytes>(0, made - freed) + op.workspace_bytes;
    highest_ = std::max(highest_, count() + clones + burst);
    for (ValueIndex v : op.inputs)
      if (!is_statistic(op, v) && --readers[v] == 0 && !wanted.contains(v)) temporaries_.erase(v);
    for (ValueIndex v : results)
      if (!can_be_read(v, e) && (wanted.contains(v) || readers[v] > 0))
        temporaries_[v] = readers[v];
    recompute_ns_ += op.cost_ns;
    ++num_replays_;
  }
  return {};
}

Answer Recount::serve(EventIndex e, const std::vector<ValueIndex>& served) {
  for (ValueIndex v : served) {
    if (temporaries_.contains(v)) {
      const EventIndex end = end_of_current_hold(v, e);
      places_.push_back({.value = v, .is_new_block = true, .end = end == kNone ? e + 1 : end});
      temporaries_.erase(v);
    } else if (!has_place(v)) {
      return broken(Rule::kAbsentAtUse, e, v,
                    fmt::format("value {} is used at event {} ({}) and is not there", v, e,
                                graph_.events[e].name));
    }
  }
  return {};
}

Answer Recount::run_keep(EventIndex e, ValueIndex v) {
  const Value& value = graph_.values[v];
  if (temporaries_.erase(v) > 0)
    places_.push_back({.value = v, .is_new_block = true, .end = e + 1});
  Place* found = nullptr;
  for (Place& place : places_) {
    if (place.value != v) continue;
    if (place.is_new_block || (found == nullptr && at_its_version(v, e))) found = &place;
  }
  if (found == nullptr)
    return broken(Rule::kAbsentKeep, e, v,
                  fmt::format("value {} is to be kept at event {} and is not there", v, e));
  EventIndex end = graph_.num_events();
  if (!value.handles.empty())
    end = std::max(end_by_handles(v), end_by_holds(v));
  else if (value.overwritten_at != kNone && !found->is_new_block)
    end = std::max(value.overwritten_at, end_by_holds(v));
  found->end = std::max(found->end, end);
  return {};
}

Answer Recount::run_drop(EventIndex e, ValueIndex v) {
  const Value& value = graph_.values[v];
  bool is_wanted_later = false;
  for (const Handle& handle : value.handles) is_wanted_later |= handle.released_at > e;
  for (const Interval& hold : value.holds) is_wanted_later |= hold.begin > e;
  if (is_wanted_later && value.overwritten_at != kNone)
    return broken(Rule::kDroppedThenWritten, e, v,
                  fmt::format("value {} is dropped at event {}, but its block is written at event "
                              "{} and its handles serve what lies there then",
                              v, e, value.overwritten_at));
  if (value.producer == e && acts_before(e)) dropped_early_.insert(v);
  const EventIndex end = end_of_current_hold(v, e);
  for (Place& place : places_)
    if (place.value == v) place.end = end == kNone ? e : end;
  std::erase_if(places_, [e](const Place& place) { return place.end <= e; });
  return {};
}

Answer Recount::run_list(EventIndex e, const std::vector<ValueIndex>& served) {
  static const EventActions kNothing;
  const EventActions* found = list_at(e);
  const EventActions& list = found != nullptr ? *found : kNothing;
  std::set<ValueIndex> wanted(served.begin(), served.end());
  for (const Action& action : list.actions)
    if (action.kind == ActionKind::kKeep) wanted.insert(action.target);
  temporaries_.clear();
  if (Answer bad = run_replays(e, list, wanted)) return bad;
  if (Answer bad = serve(e, served)) return bad;
  for (const Action& action : list.actions) {
    Answer bad;
    if (action.kind == ActionKind::kKeep) bad = run_keep(e, action.target);
    if (action.kind == ActionKind::kDrop) bad = run_drop(e, action.target);
    if (bad) return bad;
  }
  temporaries_.clear();
  return {};
}

Answer Recount::walk(EventIndex e) {
  const Event& event = graph_.events[e];
  std::erase_if(places_, [e](const Place& place) { return place.end <= e; });
  highest_ = std::max(highest_, count());
  if (acts_before(e)) {
    const bool is_unpack = event.kind == EventKind::kUnpack;
    if (Answer bad = run_list(e, is_unpack ? event.values : event.inputs)) return bad;
  }
  const Bytes at_start = count();
  if (event.kind != EventKind::kUnpack) make_outputs(e);
  highest_ = std::max(highest_, std::max(at_start, count()) + event.workspace_bytes);
  if (!acts_before(e))
    if (Answer bad = run_list(e, {})) return bad;
  highest_ = std::max(highest_, count());
  return {};
}

Answer Recount::check_promises() const {
  if (plan_.recompute_ns != recompute_ns_)
    return broken(Rule::kWrongRecompute, kNone, kNone,
                  fmt::format("the plan promises {} ns of recomputation, its replays take {} ns",
                              plan_.recompute_ns, recompute_ns_));
  if (plan_.num_replays != num_replays_)
    return broken(
        Rule::kWrongReplayCount, kNone, kNone,
        fmt::format("the plan promises {} replays and has {}", plan_.num_replays, num_replays_));
  if (plan_.peak_bytes != highest_)
    return broken(Rule::kWrongPeak, plan_.peak_event, kNone,
                  fmt::format("the plan promises a peak of {} bytes, recounted it is {}",
                              plan_.peak_bytes, highest_));
  if (highest_ > plan_.budget_bytes)
    return broken(Rule::kOverBudget, plan_.peak_event, kNone,
                  fmt::format("the plan's peak of {} bytes is above its budget of {}", highest_,
                              plan_.budget_bytes));
  return {};
}

Answer Recount::check() {
  if (Answer bad = check_shape()) return bad;
  for (ValueIndex v = 0; v < graph_.num_values(); ++v)
    if (graph_.values[v].producer == kNone)
      places_.push_back(
          {.value = v, .is_new_block = false, .end = std::max(end_by_holds(v), end_by_handles(v))});
  for (EventIndex e = 0; e < graph_.num_events(); ++e)
    if (Answer bad = walk(e)) return bad;
  return check_promises();
}

}  // namespace

std::string_view to_string(Rule rule) noexcept {
  switch (rule) {
    case Rule::kBadId:
      return "bad_id";
    case Rule::kNotActionable:
      return "not_actionable";
    case Rule::kActionOrder:
      return "action_order";
    case Rule::kPinnedReplay:
      return "pinned_replay";
    case Rule::kMissingInput:
      return "missing_input";
    case Rule::kAbsentKeep:
      return "absent_keep";
    case Rule::kAbsentAtUse:
      return "absent_at_use";
    case Rule::kDroppedThenWritten:
      return "dropped_then_written";
    case Rule::kWrongRecompute:
      return "wrong_recompute";
    case Rule::kWrongReplayCount:
      return "wrong_replay_count";
    case Rule::kWrongPeak:
      return "wrong_peak";
    case Rule::kOverBudget:
      return "over_budget";
  }
  return "unknown";
}

std::optional<Violation> validate(const StepGraph& graph, const Plan& plan) {
  return Recount(graph, plan).check();
}

}  // namespace tidemark
