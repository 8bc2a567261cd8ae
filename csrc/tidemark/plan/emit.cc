#include "tidemark/plan/emit.h"

#include <algorithm>
#include <map>
#include <ranges>
#include <set>
#include <tuple>

#include "tidemark/plan/signature.h"

namespace tidemark {
namespace {

// Something that a schedule does with a value.
struct Touch {
  ValueIndex value;
  EventIndex event;
  bool is_restore;  // else: read by a replay whose list does not restore it
  bool operator<(const Touch& other) const {
    return std::tie(value, event) < std::tie(other.value, other.event);
  }
};

std::vector<Touch> touches_of(const Problem& problem, const Schedule& schedule) {
  std::vector<Touch> touches;
  std::vector<EventIndex> restored_at(problem.graph().values.size(), kNone);
  for (const ReplayList& list : schedule) {
    for (EventIndex op : list.ops) {
      for (ValueIndex v : problem.reads(op))
        if (restored_at[v] != list.event) touches.push_back({v, list.event, false});
      for (ValueIndex v : problem.restores(op)) {
        restored_at[v] = list.event;
        touches.push_back({v, list.event, true});
      }
    }
  }
  std::sort(touches.begin(), touches.end());
  return touches;
}

// One lying of a value in memory: from its making or a restore to its last use before the next.
struct Lying {
  EventIndex begin = 0;
  bool is_original = true;
  bool is_followed = false;      // by a restore
  EventIndex last_read = kNone;  // by a replay
  int last_hold = -1;            // index of the last hold that this copy serves
};

class Emitter {
 public:
  Emitter(const Problem& problem, const Schedule& schedule)
      : problem_(problem),
        graph_(problem.graph()),
        touches_(touches_of(problem, schedule)),
        has_replays_(graph_.events.size(), 0) {
    for (const ReplayList& list : schedule) has_replays_[list.event] = 1;
    for (const ReplayList& list : schedule)
      for (EventIndex op : list.ops) lists_[list.event].push_back({ActionKind::kReplay, op});
  }

  std::vector<EventActions> run();

 private:
  void emit_value(ValueIndex v, const Touch* begin, const Touch* end);
  bool outlives_its_last_hold(ValueIndex v) const;
  bool is_new_copy(ValueIndex v, EventIndex at, const Touch* next, const Touch* end) const;
  void emit_original(ValueIndex v, const Lying& lying);
  void emit_restored(ValueIndex v, const Lying& lying);
  EventIndex drop_event(ValueIndex v, const Lying& lying) const;
  void add(EventIndex at, ActionKind kind, ValueIndex v) { lists_[at].push_back({kind, v}); }

  const Problem& problem_;
  const StepGraph& graph_;
  std::vector<Touch> touches_;
  std::vector<char> has_replays_;  // per event
  std::map<EventIndex, std::vector<Action>> lists_;
};

// Where the runtime gives a copy back: at its last read, or as late as it can act before its last
// hold ends.
EventIndex Emitter::drop_event(ValueIndex v, const Lying& lying) const {
  if (lying.last_hold < 0) return lying.last_read;
  const Interval& hold = graph_.values[v].holds[lying.last_hold];
  if (lying.last_read >= hold.end) return lying.last_read;
  return problem_.last_action_before(hold.end);
}

void Emitter::emit_original(ValueIndex v, const Lying& lying) {
  const Value& value = graph_.values[v];
  const bool is_managed = !value.handles.empty() || value.holds.size() > 1;
  if (lying.last_read >= problem_.natural_end(v)) {
    if (problem_.keep_event(v) != kNone) add(problem_.keep_event(v), ActionKind::kKeep, v);
    add(lying.last_read, ActionKind::kDrop, v);
  } else if (value.producer != kNone && is_managed &&
             (lying.is_followed || outlives_its_last_hold(v))) {
    add(drop_event(v, lying), ActionKind::kDrop, v);
  }
}

// Whether handles that nobody uses any more would keep the value while ops or replays run.
bool Emitter::outlives_its_last_hold(ValueIndex v) const {
  if (problem_.first_gap(v) == problem_.first_gap(v + 1)) return false;
  const EventIndex begin = problem_.end_of(v, graph_.values[v].holds.back());
  const EventIndex end = std::min(problem_.natural_end(v), graph_.num_events());
  for (EventIndex e = begin; e < end; ++e)
    if (graph_.events[e].kind != EventKind::kUnpack || has_replays_[e]) return true;
  return false;
}

void Emitter::emit_restored(ValueIndex v, const Lying& lying) {
  EventIndex served_until = lying.begin;
  const auto& holds = graph_.values[v].holds;
  for (const Interval& hold : holds)
    if (hold.begin == lying.begin) served_until = hold.end;
  const bool is_served_again = lying.last_hold >= 0 && holds[lying.last_hold].begin > lying.begin;
  const bool is_read_later = lying.last_read > lying.begin && lying.last_read >= served_until;
  if (!is_served_again && !is_read_later) return;
  add(lying.begin, ActionKind::kKeep, v);
  add(drop_event(v, lying), ActionKind::kDrop, v);
}

// A restored output is a copy of its own unless the value is there anyway or nothing wants it.
bool Emitter::is_new_copy(ValueIndex v, EventIndex at, const Touch* next, const Touch* end) const {
  const Value& value = graph_.values[v];
  const bool is_at_version = value.overwritten_at == kNone || value.overwritten_at > at;
  if (value.overwritten_at != kNone && is_at_version && problem_.natural_end(v) > at) return false;
  for (const Interval& hold : value.holds)
    if (hold.begin < at && at < hold.end && is_at_version) return false;
  EventIndex until = graph_.num_events();
  bool is_read = false;
  for (; next != end; ++next) {
    if (next->event > at && next->is_restore) {
      until = next->event;
      break;
    }
    is_read |= next->event > at;
  }
  const bool is_served = std::ranges::any_of(value.holds, [&](const Interval& hold) {
    return hold.begin >= at && hold.begin < until && hold.begin > value.producer;
  });
  return is_read || is_served;
}

void Emitter::emit_value(ValueIndex v, const Touch* begin, const Touch* end) {
  const auto& holds = graph_.values[v].holds;
  Lying lying{.begin = graph_.values[v].producer, .last_hold = holds.empty() ? -1 : 0};
  std::size_t next_hold = 1;
  const auto serve_before = [&](EventIndex at) {
    for (; next_hold < holds.size() && holds[next_hold].begin < at; ++next_hold)
      lying.last_hold = static_cast<int>(next_hold);
  };
  const auto finish = [&] {
    if (lying.is_original)
      emit_original(v, lying);
    else
      emit_restored(v, lying);
  };
  for (const Touch* touch = begin; touch != end; ++touch) {
    if (!touch->is_restore) {
      lying.last_read = touch->event;
      continue;
    }
    if (!is_new_copy(v, touch->event, touch + 1, end)) continue;
    serve_before(touch->event);
    lying.is_followed = true;
    finish();
    lying = {.begin = touch->event, .is_original = false};
  }
  serve_before(graph_.num_events());
  finish();
}

std::vector<EventActions> Emitter::run() {
  const Touch* const end = touches_.data() + touches_.size();
  const Touch* next = touches_.data();
  for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
    const Touch* const begin = next;
    while (next != end && next->value == v) ++next;
    if (begin != next || outlives_its_last_hold(v)) emit_value(v, begin, next);
  }
  std::vector<EventActions> actions;
  actions.reserve(lists_.size());
  for (auto& [event, list] : lists_) {
    std::ranges::sort(list, {}, [](const Action& a) { return std::pair(a.kind, a.target); });
    actions.push_back({event, std::move(list)});
  }
  return actions;
}

// Takes out the drops of values that nothing restores or keeps.
std::vector<EventActions> without_releases(const Problem& problem,
                                           std::vector<EventActions> actions) {
  std::vector<char> is_wanted_again(problem.graph().values.size(), 0);
  for (const EventActions& list : actions) {
    for (const Action& action : list.actions) {
      if (action.kind == ActionKind::kKeep) is_wanted_again[action.target] = 1;
      if (action.kind != ActionKind::kReplay) continue;
      for (ValueIndex v : problem.restores(action.target)) is_wanted_again[v] = 1;
    }
  }
  for (EventActions& list : actions) {
    std::erase_if(list.actions, [&](const Action& action) {
      return action.kind == ActionKind::kDrop && !is_wanted_again[action.target];
    });
  }
  std::erase_if(actions, [](const EventActions& list) { return list.actions.empty(); });
  return actions;
}

}  // namespace

std::vector<EventActions> emit(const Problem& problem, const Schedule& schedule) {
  return Emitter(problem, schedule).run();
}

void prune(const Problem& problem, Schedule& schedule) {
  const StepGraph& graph = problem.graph();
  // Walking backwards: the first later event at which a value is wanted without being restored.
  std::vector<char> is_wanted(graph.values.size(), 0);
  EventIndex e = graph.num_events();
  const auto want_served_down_to = [&](EventIndex down) {
    while (--e >= down) {
      const Event& event = graph.events[e];
      const bool is_unpack = event.kind == EventKind::kUnpack;
      if (!is_unpack && graph.has_runtime_actions) continue;
      for (ValueIndex v : is_unpack ? event.values : event.inputs)
        for (const Interval& hold : graph.values[v].holds)
          if (hold.begin == e) is_wanted[v] = 1;
    }
    e = down;
  };
  for (ReplayList& list : std::views::reverse(schedule)) {
    want_served_down_to(list.event);
    std::vector<EventIndex> used;
    for (auto op = list.ops.rbegin(); op != list.ops.rend(); ++op) {
      const auto& results = problem.restores(*op);
      const bool is_used = std::ranges::any_of(results, [&](ValueIndex v) {
        const auto holds_it = [&](const Interval& hold) {
          return hold.begin < list.event && list.event < hold.end;
        };
        return is_wanted[v] && std::ranges::none_of(graph.values[v].holds, holds_it);
      });
      if (!is_used) continue;
      for (ValueIndex v : results) is_wanted[v] = 0;
      for (ValueIndex v : problem.reads(*op)) is_wanted[v] = 1;
      used.push_back(*op);
    }
    std::ranges::reverse(used);
    list.ops = std::move(used);
  }
  std::erase_if(schedule, [](const ReplayList& list) { return list.ops.empty(); });
}

Plan make_plan(const Problem& problem, std::vector<EventActions> actions, std::string_view policy,
               Bytes budget) {
  const StepGraph& graph = problem.graph();
  Simulation simulation = simulate(graph, actions);
  std::vector<EventActions> fewer = without_releases(problem, actions);
  if (fewer != actions) {
    Simulation without = simulate(graph, fewer);
    if (without.peak_bytes == simulation.peak_bytes) {
      actions = std::move(fewer);
      simulation = std::move(without);
    }
  }
  Plan plan;
  plan.policy = policy;
  plan.budget_bytes = budget;
  plan.graph_hash = graph_hash(graph);
  plan.signature = signature(graph);
  std::set<ValueIndex> named;
  for (const EventActions& list : actions)
    for (const Action& action : list.actions)
      if (action.kind != ActionKind::kReplay) named.insert(action.target);
  for (ValueIndex v : named)
    plan.values.push_back({v, graph.values[v].block, graph.values[v].version});
  plan.actions = std::move(actions);
  plan.peak_bytes = simulation.peak_bytes;
  plan.peak_event = simulation.peak_event;
  plan.unplanned_peak_bytes = problem.unplanned().peak_bytes;
  plan.step_ns = simulation.step_ns;
  plan.recompute_ns = simulation.recompute_ns;
  plan.num_replays = simulation.num_replays;
  plan.num_values = graph.num_values();
  plan.num_ops = std::ranges::count(graph.events, EventKind::kOp, &Event::kind);
  return plan;
}

}  // namespace tidemark
