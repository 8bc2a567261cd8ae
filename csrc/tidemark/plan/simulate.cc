#include "tidemark/plan/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace tidemark {
namespace {

// A place where a value's bytes lie: the block it was made in, or a new one that a replay filled.
struct Copy {
  bool alive = false;
  EventIndex death = 0;  // gone at the start of this event
};

struct ValueState {
  Copy original;
  Copy restored;
  bool started = false;     // its producer has run, or it is a source
  bool superseded = false;  // its block holds a later version by now
  bool born_dropped = false;
  // The rest serves one action list.
  bool is_temporary = false;  // restored by an earlier replay of this list
  bool is_wanted = false;     // kept by this list or served by this event
  int reads_left = 0;         // replays of this list that still read it
};

// Deaths of one event are a list threaded through one array: a vector per event would cost more
// than the rest of a simulation.
struct Death {
  ValueIndex value;
  bool restored;
  int next;
};

class Run {
 public:
  explicit Run(const StepGraph& graph) : graph_(graph), n_(graph.num_events()) { prepare(); }

  Simulation follow(const std::vector<EventActions>& actions);

 private:
  void prepare();
  void begin_sources();
  void step(EventIndex e, const EventActions* actions);

  // An in-place op and an op that frees its input still find the block at their start.
  EventIndex end_of(ValueIndex v, const Interval& hold) const {
    const EventIndex end = hold.end;
    return end == graph_.values[v].overwritten_at || end == freed_at_[v] ? end + 1 : end;
  }
  EventIndex natural_end(ValueIndex v) const;
  EventIndex keep_end(ValueIndex v, bool is_restored) const;
  // Returns the end of the program's hold on `v` at `e`, or kNone if it has none then.
  EventIndex hold_end_at(ValueIndex v, EventIndex e) const;

  void set_death(ValueIndex v, bool restored, EventIndex death);
  void start_original(ValueIndex v, EventIndex death);
  void start_restored(ValueIndex v, EventIndex death);
  void end_original(ValueIndex v);
  void end_restored(ValueIndex v);
  void bury(EventIndex e);
  void produce(EventIndex e);

  bool is_resident(ValueIndex v) const;
  bool is_served(ValueIndex v) const {
    return state_[v].original.alive || state_[v].restored.alive;
  }
  bool is_skipped_input(const Event& op, ValueIndex v) const;

  void act(EventIndex e, const EventActions& list, const std::vector<ValueIndex>& served);
  void mark_wanted(const EventActions& list, const std::vector<ValueIndex>& served);
  void replay(EventIndex e, EventIndex op);
  bool is_spent(ValueIndex v) const;
  Bytes write_inputs(const Event& op);
  void settle(ValueIndex v);
  void finish_reads(const Event& op);
  void take_served(EventIndex e, const std::vector<ValueIndex>& served);
  void keep(EventIndex e, ValueIndex v);
  void drop(EventIndex e, ValueIndex v);
  void check_ids(EventIndex e, const Action& action) const;

  const StepGraph& graph_;
  EventIndex n_;
  std::vector<ValueState> state_;
  std::vector<int> block_refs_;
  std::vector<EventIndex> freed_at_;
  std::vector<Death> deaths_;
  std::vector<int> first_death_;               // per event
  std::vector<ValueIndex> first_overwritten_;  // per event
  std::vector<ValueIndex> next_overwritten_;   // per value
  std::vector<ValueIndex> moved_;              // in-place outputs whose bytes are already counted
  Bytes live_ = 0;
  Bytes peak_ = 0;
  Simulation result_;
};

void Run::prepare() {
  const auto num_values = graph_.values.size();
  state_.assign(num_values, {});
  freed_at_.assign(num_values, kNone);
  deaths_.reserve(num_values + num_values / 2);
  first_death_.assign(static_cast<std::size_t>(n_), kNone);
  first_overwritten_.assign(static_cast<std::size_t>(n_), kNone);
  next_overwritten_.assign(num_values, kNone);
  BlockIndex num_blocks = 0;
  for (const Value& value : graph_.values) num_blocks = std::max(num_blocks, value.block + 1);
  block_refs_.assign(static_cast<std::size_t>(num_blocks), 0);
  for (EventIndex e = 0; e < n_; ++e)
    for (ValueIndex v : graph_.events[e].frees) freed_at_[v] = e;
  for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
    const EventIndex at = graph_.values[v].overwritten_at;
    if (at == kNone || at >= n_) continue;
    next_overwritten_[v] = first_overwritten_[at];
    first_overwritten_[at] = v;
  }
}

EventIndex Run::natural_end(ValueIndex v) const {
  const Value& value = graph_.values[v];
  EventIndex end = value.holds.empty() ? 0 : end_of(v, value.holds.back());
  for (const Handle& handle : value.handles) end = std::max(end, handle.released_at);
  return end;
}

EventIndex Run::keep_end(ValueIndex v, bool is_restored) const {
  const Value& value = graph_.values[v];
  if (!value.handles.empty()) return natural_end(v);
  // A later version ends the original; a restored copy lies in a block that nobody writes.
  if (is_restored || value.overwritten_at == kNone) return n_;
  return std::max(natural_end(v), value.overwritten_at);
}

EventIndex Run::hold_end_at(ValueIndex v, EventIndex e) const {
  for (const Interval& hold : graph_.values[v].holds)
    if (hold.begin <= e && e < end_of(v, hold)) return end_of(v, hold);
  return kNone;
}

void Run::set_death(ValueIndex v, bool restored, EventIndex death) {
  Copy& copy = restored ? state_[v].restored : state_[v].original;
  if (copy.death == death) return;
  copy.death = death;
  if (death >= n_) return;
  deaths_.push_back({v, restored, first_death_[death]});
  first_death_[death] = static_cast<int>(deaths_.size()) - 1;
}

void Run::start_original(ValueIndex v, EventIndex death) {
  state_[v].original.alive = true;
  set_death(v, false, death);
  if (block_refs_[graph_.values[v].block]++ == 0) live_ += graph_.values[v].bytes;
}

void Run::start_restored(ValueIndex v, EventIndex death) {
  state_[v].restored = {.alive = true, .death = kNone};
  set_death(v, true, death);
}

void Run::end_original(ValueIndex v) {
  if (!state_[v].original.alive) return;
  state_[v].original.alive = false;
  if (--block_refs_[graph_.values[v].block] == 0) live_ -= graph_.values[v].bytes;
}

void Run::end_restored(ValueIndex v) {
  if (!state_[v].restored.alive) return;
  state_[v].restored.alive = false;
  live_ -= graph_.values[v].bytes;
}

void Run::bury(EventIndex e) {
  for (int i = first_death_[e]; i != kNone; i = deaths_[i].next) {
    const Death death = deaths_[i];
    ValueState& state = state_[death.value];
    // A death that was moved since leaves its first entry behind.
    if (death.restored && state.restored.death == e) end_restored(death.value);
    if (!death.restored && state.original.death == e) end_original(death.value);
  }
}

void Run::begin_sources() {
  live_ = graph_.entry.other_bytes;
  for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
    if (graph_.values[v].producer != kNone) continue;
    state_[v].started = true;
    if (natural_end(v) > 0) start_original(v, natural_end(v));
  }
}

void Run::produce(EventIndex e) {
  const Event& event = graph_.events[e];
  for (ValueIndex v : event.outputs) {
    state_[v].started = true;
    const auto& holds = graph_.values[v].holds;
    const bool weak = state_[v].born_dropped && !holds.empty();
    const EventIndex death = weak ? end_of(v, holds.front()) : natural_end(v);
    if (death > e) start_original(v, death);
  }
  for (ValueIndex v = first_overwritten_[e]; v != kNone; v = next_overwritten_[v])
    state_[v].superseded = true;
  for (ValueIndex v : event.frees) {
    if (state_[v].original.death <= e + 1) end_original(v);
    if (state_[v].restored.death <= e + 1) end_restored(v);
  }
}

// A handle serves its block as it is, a replay needs it at its version.
bool Run::is_resident(ValueIndex v) const {
  const ValueState& state = state_[v];
  if (state.restored.alive) return true;
  return state.started && !state.superseded && block_refs_[graph_.values[v].block] > 0;
}

// A training-mode batch norm is replayed without its running statistics.
bool Run::is_skipped_input(const Event& op, ValueIndex v) const {
  if (graph_.values[v].category != Category::kBuffer) return false;
  return std::ranges::any_of(op.in_place, [v](const InPlace& w) { return w.input == v; });
}

void Run::check_ids(EventIndex e, const Action& action) const {
  const bool is_replay = action.kind == ActionKind::kReplay;
  const std::int32_t limit = is_replay ? n_ : graph_.num_values();
  if (action.target < 0 || action.target >= limit)
    throw std::invalid_argument(fmt::format("event {}: action names {} {}, the graph has {}", e,
                                            is_replay ? "event" : "value", action.target, limit));
  if (is_replay && (graph_.events[action.target].kind != EventKind::kOp || action.target >= e))
    throw std::invalid_argument(
        fmt::format("event {}: replay of event {}, which is not an earlier op", e, action.target));
}

void Run::mark_wanted(const EventActions& list, const std::vector<ValueIndex>& served) {
  for (ValueIndex v : served) state_[v].is_wanted = true;
  for (const Action& action : list.actions) {
    check_ids(list.event, action);
    if (action.kind == ActionKind::kKeep) state_[action.target].is_wanted = true;
    if (action.kind != ActionKind::kReplay) continue;
    const Event& op = graph_.events[action.target];
    for (ValueIndex v : op.inputs)
      if (!is_skipped_input(op, v)) ++state_[v].reads_left;
  }
}

void Run::act(EventIndex e, const EventActions& list, const std::vector<ValueIndex>& served) {
  mark_wanted(list, served);
  for (const Action& action : list.actions)
    if (action.kind == ActionKind::kReplay) replay(e, action.target);
  take_served(e, served);
  for (const Action& action : list.actions)
    if (action.kind == ActionKind::kKeep) keep(e, action.target);
  for (const Action& action : list.actions)
    if (action.kind == ActionKind::kDrop) drop(e, action.target);
  for (ValueIndex v : served) state_[v].is_wanted = false;
  for (const Action& action : list.actions)
    if (action.kind == ActionKind::kKeep) state_[action.target].is_wanted = false;
}

// Whether nobody but one more read of this list wants what the replays have put there.
bool Run::is_spent(ValueIndex v) const {
  const ValueState& state = state_[v];
  return state.is_temporary && state.reads_left == 1 && !state.is_wanted;
}

// Returns the bytes of clones made, and leaves in moved_ the outputs written in place.
Bytes Run::write_inputs(const Event& op) {
  Bytes clones = 0;
  for (const InPlace& write : op.in_place) {
    if (is_skipped_input(op, write.input)) continue;
    if (is_spent(write.input)) {
      state_[write.input].is_temporary = false;
    } else {
      clones += graph_.values[write.input].bytes;
      ++result_.num_clones;
    }
    moved_.push_back(write.output);
  }
  for (const InPlace& write : op.replays_in_place) {
    if (!is_spent(write.input)) continue;
    state_[write.input].is_temporary = false;
    moved_.push_back(write.output);
  }
  return clones;
}

// Decides what becomes of a replayed output whose bytes are already in live_.
void Run::settle(ValueIndex v) {
  ValueState& state = state_[v];
  const bool is_used = state.is_wanted || state.reads_left > 0;
  if (is_used && !state.is_temporary && !is_resident(v))
    state.is_temporary = true;
  else
    live_ -= graph_.values[v].bytes;
}

void Run::finish_reads(const Event& op) {
  for (ValueIndex v : op.inputs) {
    if (is_skipped_input(op, v)) continue;
    ValueState& state = state_[v];
    if (--state.reads_left > 0 || state.is_wanted || !state.is_temporary) continue;
    state.is_temporary = false;
    live_ -= graph_.values[v].bytes;
  }
}

void Run::replay(EventIndex e, EventIndex index) {
  const Event& op = graph_.events[index];
  for (ValueIndex v : op.inputs)
    if (!is_skipped_input(op, v) && !state_[v].is_temporary && !is_resident(v))
      throw std::invalid_argument(
          fmt::format("event {}: replay of {} (event {}) needs value {}, which is not there", e,
                      op.name, index, v));
  moved_.clear();
  live_ += write_inputs(op);
  const auto is_in_place = [&](ValueIndex v) {
    return std::ranges::find(op.in_place, v, &InPlace::output) != op.in_place.end() ||
           std::ranges::find(moved_, v) != moved_.end();
  };
  Bytes made = 0;
  for (ValueIndex v : op.outputs)
    if (!is_in_place(v)) made += graph_.values[v].bytes;
  Bytes freed = 0;
  for (ValueIndex v : op.frees) freed += graph_.values[v].bytes;
  peak_ = std::max(peak_, live_ + std::max<Bytes>(0, made - freed) + op.workspace_bytes);
  live_ += made;
  for (ValueIndex v : op.outputs)
    if (!is_in_place(v)) settle(v);
  for (ValueIndex v : moved_) settle(v);
  finish_reads(op);
  result_.recompute_ns += op.cost_ns;
  ++result_.num_replays;
}

// What was restored for the values of this event now belongs to the program.
void Run::take_served(EventIndex e, const std::vector<ValueIndex>& served) {
  for (ValueIndex v : served) {
    if (!state_[v].is_temporary) {
      if (!is_served(v))
        throw std::invalid_argument(fmt::format("event {}: value {} is used and is nowhere", e, v));
      continue;
    }
    state_[v].is_temporary = false;
    const EventIndex end = hold_end_at(v, e);
    start_restored(v, end == kNone ? e + 1 : end);
  }
}

void Run::keep(EventIndex e, ValueIndex v) {
  ValueState& state = state_[v];
  const EventIndex end = keep_end(v, state.is_temporary || state.restored.alive);
  if (state.is_temporary) {
    state.is_temporary = false;
    start_restored(v, std::max(end, e + 1));
  } else if (state.restored.alive) {
    set_death(v, true, std::max(end, state.restored.death));
  } else if (state.original.alive && !state.superseded) {
    set_death(v, false, std::max(end, state.original.death));
  } else {
    throw std::invalid_argument(fmt::format("event {}: keep of value {}, which is nowhere", e, v));
  }
}

void Run::drop(EventIndex e, ValueIndex v) {
  ValueState& state = state_[v];
  if (!state.started) state.born_dropped = true;
  const EventIndex end = hold_end_at(v, e);
  if (state.original.alive) {
    if (end == kNone)
      end_original(v);
    else
      set_death(v, false, end);
  }
  if (state.restored.alive) {
    if (end == kNone)
      end_restored(v);
    else
      set_death(v, true, end);
  }
}

void Run::step(EventIndex e, const EventActions* actions) {
  const Event& event = graph_.events[e];
  const EventActions none{.event = e, .actions = {}};
  const EventActions& list = actions != nullptr ? *actions : none;
  bury(e);
  Reading reading{.before = live_, .peak = live_, .after = live_};
  peak_ = live_;
  const bool acts_first = event.kind == EventKind::kUnpack || !graph_.has_runtime_actions;
  if (acts_first) act(e, list, event.kind == EventKind::kUnpack ? event.values : event.inputs);
  const Bytes at_start = live_;
  if (event.kind != EventKind::kUnpack) produce(e);
  peak_ = std::max(peak_, std::max(at_start, live_) + event.workspace_bytes);
  if (!acts_first && actions != nullptr) act(e, list, {});
  reading.peak = std::max(peak_, live_);
  reading.after = live_;
  if (event.kind == EventKind::kOp) result_.step_ns += event.cost_ns;
  if (reading.peak > result_.peak_bytes || e == 0) {
    result_.peak_bytes = reading.peak;
    result_.peak_event = e;
  }
  result_.curve.push_back(reading);
}

Simulation Run::follow(const std::vector<EventActions>& actions) {
  result_.curve.reserve(static_cast<std::size_t>(n_));
  begin_sources();
  auto next = actions.begin();
  for (EventIndex e = 0; e < n_; ++e) {
    const bool acts = next != actions.end() && next->event == e;
    step(e, acts ? &*next : nullptr);
    if (acts) ++next;
  }
  if (next != actions.end())
    throw std::invalid_argument(
        fmt::format("actions at event {} are out of order or past the {} events of the graph",
                    next->event, n_));
  return std::move(result_);
}

}  // namespace

Simulation simulate(const StepGraph& graph, const std::vector<EventActions>& actions) {
  return Run(graph).follow(actions);
}

Simulation simulate(const StepGraph& graph, const Plan& plan) {
  return simulate(graph, plan.actions);
}

Simulation simulate(const StepGraph& graph) { return simulate(graph, std::vector<EventActions>{}); }

}  // namespace tidemark
