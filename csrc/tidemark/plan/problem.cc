#include "tidemark/plan/problem.h"

#include <algorithm>
#include <unordered_set>

#include "tidemark/plan/floor.h"

namespace tidemark {
namespace {

bool is_statistic(const StepGraph& graph, ValueIndex v) {
  return graph.values[v].category == Category::kBuffer;
}

}  // namespace

Problem::Problem(const StepGraph& graph) : graph_(&graph), unplanned_(simulate(graph)) {
  find_ops();
  find_values();
  find_gaps();
  dropped_ = dropped_curve(*this);
}

void Problem::find_ops() {
  const EventIndex n = graph_->num_events();
  reads_.resize(n);
  restores_.resize(n);
  readers_.resize(graph_->values.size());
  replayable_.assign(n, 0);
  last_action_.assign(n + 2, kNone);
  for (EventIndex e = 0; e < n; ++e) {
    last_action_[e + 1] = is_actionable(*graph_, e) ? e : last_action_[e];
    const Event& op = graph_->events[e];
    if (op.kind != EventKind::kOp) continue;
    const bool is_taped = !graph_->has_runtime_actions || op.phase != Phase::kBackward;
    replayable_[e] = op.pinned.empty() && is_taped;
    const auto statistic = [&](ValueIndex v, ValueIndex InPlace::*side) {
      return std::ranges::any_of(op.in_place, [&](const InPlace& write) {
        return write.*side == v && is_statistic(*graph_, write.input);
      });
    };
    for (ValueIndex v : op.inputs) {
      if (statistic(v, &InPlace::input)) continue;
      reads_[e].push_back(v);
      if (replayable_[e]) readers_[v].push_back(e);
    }
    for (ValueIndex v : op.outputs)
      if (!statistic(v, &InPlace::output)) restores_[e].push_back(v);
  }
  last_action_[n + 1] = last_action_[n];
}

EventIndex Problem::end_of(ValueIndex v, const Interval& hold) const {
  const bool is_found = hold.end == graph_->values[v].overwritten_at || hold.end == freed_at_[v];
  return is_found ? hold.end + 1 : hold.end;
}

void Problem::find_values() {
  const EventIndex n = graph_->num_events();
  freed_at_.assign(graph_->values.size(), kNone);
  keep_event_.assign(graph_->values.size(), kNone);
  natural_end_.assign(graph_->values.size(), 0);
  for (EventIndex e = 0; e < n; ++e)
    for (ValueIndex v : graph_->events[e].frees) freed_at_[v] = e;
  next_action_.assign(n + 1, kNone);
  for (EventIndex e = n - 1; e >= 0; --e)
    next_action_[e] = is_actionable(*graph_, e) ? e : next_action_[e + 1];
  const std::vector<EventIndex> known_from = find_first_forward_uses();
  for (ValueIndex v = 0; v < graph_->num_values(); ++v) {
    const Value& value = graph_->values[v];
    if (!value.holds.empty()) natural_end_[v] = end_of(v, value.holds.back());
    for (const Handle& handle : value.handles)
      natural_end_[v] = std::max(natural_end_[v], handle.released_at);
    if (value.producer == kNone) {
      if (!graph_->has_runtime_actions) keep_event_[v] = last_action_[std::min(natural_end_[v], n)];
      continue;
    }
    // Before an op the value that it makes is not there yet.
    const EventIndex from = graph_->has_runtime_actions ? known_from[v] : value.producer + 1;
    const EventIndex at = from == kNone ? kNone : next_action_[from];
    const bool is_there = at != kNone && (at == value.producer || natural_end_[v] > at);
    if (is_there && (value.overwritten_at == kNone || value.overwritten_at > at))
      keep_event_[v] = at;
  }
}

// The runtime knows a value from the forward op that makes it; one that the host makes, or a node
// of a backward within forward, from the first that reads it.
std::vector<EventIndex> Problem::find_first_forward_uses() const {
  std::vector<EventIndex> first(graph_->values.size(), kNone);
  for (EventIndex e = 0; e < graph_->num_events(); ++e) {
    const Event& event = graph_->events[e];
    const bool is_shown = event.kind == EventKind::kOp && event.phase != Phase::kBackward;
    if (!is_shown) continue;
    for (const auto* list : {&event.inputs, &event.outputs})
      for (ValueIndex v : *list)
        if (first[v] == kNone) first[v] = e;
  }
  return first;
}

bool Problem::can_stay_until(ValueIndex v, EventIndex u) const {
  const Value& value = graph_->values[v];
  if (value.overwritten_at != kNone && value.overwritten_at <= u) return false;
  // The runtime's reference to a saved value ends with its last handle.
  const bool can_keep = value.handles.empty() && keep_event_[v] != kNone;
  return natural_end_[v] > u || (value.producer < u && can_keep);
}

bool Problem::is_there(ValueIndex v, EventIndex u) const {
  const bool is_source = graph_->values[v].producer == kNone;
  return can_stay_until(v, u) && (is_source || natural_end_[v] > u);
}

bool Problem::can_replay_at(ValueIndex v, EventIndex u) const {
  // All that is missing must be replayable; each missing value is looked at once.
  std::vector<ValueIndex> missing{v};
  std::unordered_set<ValueIndex> seen{v};
  while (!missing.empty()) {
    const ValueIndex here = missing.back();
    missing.pop_back();
    const EventIndex producer = graph_->values[here].producer;
    if (producer == kNone || producer >= u || !replayable_[producer]) return false;
    if (std::ranges::find(restores_[producer], here) == restores_[producer].end()) return false;
    for (ValueIndex input : reads_[producer])
      if (!can_stay_until(input, u) && seen.insert(input).second) missing.push_back(input);
  }
  return true;
}

bool Problem::is_droppable(const Gap& gap) const {
  const Value& value = graph_->values[gap.value];
  // A handle serves its block as it is then; a restored copy would not follow a later write.
  if (value.overwritten_at != kNone || last_action_[gap.time.begin] < value.producer) return false;
  const Event& event = graph_->events[gap.time.end];
  const bool is_unpack = event.kind == EventKind::kUnpack;
  if (graph_->has_runtime_actions != is_unpack) return false;
  const auto& served = is_unpack ? event.values : event.inputs;
  return std::ranges::find(served, gap.value) != served.end();
}

std::vector<int> Problem::first_of_each(const std::vector<Gap>& gaps) const {
  std::vector<int> first;
  int next = 0;
  const int num_gaps = static_cast<int>(gaps.size());
  for (ValueIndex v = 0; v <= graph_->num_values(); ++v) {
    while (next < num_gaps && gaps[next].value < v) ++next;
    first.push_back(next);
  }
  return first;
}

void Problem::find_gaps() {
  for (const Gap& gap : tidemark::gaps(*graph_)) {
    if (!is_droppable(gap)) continue;
    // What can be computed again at one event could be so at every earlier one.
    const EventIndex first_chance = next_action_[gap.time.begin];
    if (can_replay_at(gap.value, gap.time.end)) {
      gaps_.push_back(gap);
      restorable_gaps_.push_back(gap);
    } else if (first_chance < gap.time.end && can_replay_at(gap.value, first_chance)) {
      restorable_gaps_.push_back(gap);
    }
  }
  first_gap_ = first_of_each(gaps_);
  first_restorable_gap_ = first_of_each(restorable_gaps_);
}

}  // namespace tidemark
