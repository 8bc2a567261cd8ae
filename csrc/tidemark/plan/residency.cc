#include "tidemark/plan/residency.h"

#include <algorithm>
#include <utility>

namespace tidemark {
namespace {

constexpr int list_point(EventIndex e) { return 2 * e; }
constexpr int event_point(EventIndex e) { return 2 * e + 1; }

// The end of what is there without a plan's doing, at the version that was made.
EventIndex end_of_version(const Problem& problem, ValueIndex v) {
  const Value& value = problem.graph().values[v];
  const bool has_gap = problem.first_gap(v) < problem.first_gap(v + 1);
  // As dropped_curve has it: without a gap, handles keep the value past the last hold.
  const EventIndex end = has_gap ? problem.end_of(v, value.holds.back()) : problem.natural_end(v);
  const bool is_overwritten = value.overwritten_at != kNone;
  return std::min(is_overwritten ? std::min(end, value.overwritten_at) : end,
                  problem.graph().num_events());
}

void add_holds(const Problem& problem, ValueIndex v, ResidencyFacts& facts) {
  const Value& value = problem.graph().values[v];
  std::vector<Stretch>& held = facts.held[v];
  if (value.producer == kNone) {
    if (facts.can_outlast[v]) held.push_back({0, list_point(end_of_version(problem, v))});
    return;
  }
  held.push_back({event_point(value.producer), 0});
  int gap = problem.first_gap(v);
  for (std::size_t i = 1; i < value.holds.size() && gap < problem.first_gap(v + 1); ++i) {
    const Interval time{value.holds[i - 1].end, value.holds[i].begin};
    if (problem.gaps()[gap].time != time) continue;
    ++gap;
    held.back().end = list_point(time.begin);
    held.push_back({event_point(time.end), 0});
    facts.serves[v].push_back(time.end);
  }
  held.back().end = list_point(end_of_version(problem, v));
}

void add_op(const Problem& problem, EventIndex e, ResidencyFacts& facts) {
  const StepGraph& graph = problem.graph();
  const Event& op = graph.events[e];
  const auto& reads = problem.reads(e);
  for (const InPlace& write : op.in_place)
    if (std::ranges::find(reads, write.input) != reads.end()) facts.writes[e].push_back(write);
  Bytes made = 0;
  for (ValueIndex v : op.outputs)
    if (std::ranges::find(op.in_place, v, &InPlace::output) == op.in_place.end())
      made += graph.values[v].bytes;
  facts.made_bytes[e] = made;
  for (ValueIndex v : op.frees) facts.freed_bytes[e] += graph.values[v].bytes;
}

}  // namespace

ResidencyFacts::ResidencyFacts(const Problem& p)
    : problem(p),
      held(p.graph().values.size()),
      serves(p.graph().values.size()),
      is_managed(p.graph().values.size()),
      can_outlast(p.graph().values.size()),
      made_bytes(p.graph().events.size()),
      freed_bytes(p.graph().events.size()),
      writes(p.graph().events.size()) {
  const StepGraph& graph = p.graph();
  for (ValueIndex v = 0; v < graph.num_values(); ++v) {
    is_managed[v] = graph.values[v].producer != kNone;
    can_outlast[v] = !is_managed[v] && p.keep_event(v) != kNone;
    add_holds(p, v, *this);
  }
  for (EventIndex e = 0; e < graph.num_events(); ++e) {
    if (p.is_replayable(e)) add_op(p, e, *this);
    curve.push_back(p.dropped()[e].before);
    curve.push_back(p.dropped()[e].peak);
  }
}

Residency::Residency(const ResidencyFacts& facts)
    : facts_(facts),
      graph_(facts.problem.graph()),
      tree_(facts.curve),
      runs_(graph_.events.size()),
      lists_(graph_.events.size()),
      stretches_(graph_.values.size()),
      spans_(graph_.values.size()),
      list_bytes_(graph_.events.size(), 0),
      is_value_touched_(graph_.values.size(), 0),
      is_list_touched_(graph_.events.size(), 0),
      temporaries_(graph_.values.size()) {
  for (ValueIndex v = 0; v < graph_.num_values(); ++v) touch_value(v);
  settle();
}

void Residency::load(const Schedule& schedule) {
  for (EventIndex at = 0; at < graph_.num_events(); ++at)
    for (const std::vector<EventIndex> ops = lists_[at]; EventIndex op : ops)
      change({{at, op}, false});
  for (const ReplayList& list : schedule)
    for (EventIndex op : list.ops) change({{list.event, op}, true});
  settle();
  clear_log();
}

Schedule Residency::schedule() const {
  Schedule schedule;
  for (EventIndex at = 0; at < graph_.num_events(); ++at)
    if (!lists_[at].empty()) schedule.push_back({at, lists_[at]});
  return schedule;
}

bool Residency::is_listed(EventIndex at, EventIndex op) const {
  return std::ranges::binary_search(lists_[at], op);
}

// The replays that restore `v`.
const std::vector<EventIndex>& Residency::runs_of(ValueIndex v) const {
  static const std::vector<EventIndex> kNeverRuns;
  return facts_.is_managed[v] ? runs_[graph_.values[v].producer] : kNeverRuns;
}

bool Residency::is_held(ValueIndex v, EventIndex at) const {
  const int point = list_point(at);
  return std::ranges::any_of(facts_.held[v],
                             [&](Stretch s) { return s.begin <= point && point < s.end; });
}

bool Residency::is_covered(ValueIndex v, int point) const {
  return std::ranges::any_of(stretches_[v],
                             [&](Stretch s) { return s.begin <= point && point < s.end; });
}

bool Residency::is_served(ValueIndex v, EventIndex at) const {
  return std::ranges::binary_search(facts_.serves[v], at);
}

bool Residency::is_there(ValueIndex v, EventIndex at) const {
  if (!facts_.is_managed[v]) return problem().can_stay_until(v, at);
  return is_held(v, at) || is_covered(v, list_point(at));
}

bool Residency::can_stay(ValueIndex v, EventIndex at) const { return can_stay(v, at, at); }

// Whether the copy of `v` made last before `from` may stay until `until`.
bool Residency::can_stay(ValueIndex v, EventIndex from, EventIndex until) const {
  if (!graph_.values[v].handles.empty()) return problem().natural_end(v) > until;
  // A restored copy lies in a block that nobody writes.
  for (EventIndex run : runs_of(v))
    if (run < from && !is_held(v, run)) return true;
  return problem().can_stay_until(v, until);
}

int Residency::last_point_before(ValueIndex v, EventIndex at) const {
  const int point = list_point(at);
  int last = event_point(graph_.values[v].producer);
  for (Stretch s : facts_.held[v])
    if (s.end <= point) last = std::max(last, s.end);
  for (Stretch s : stretches_[v])
    if (s.end <= point) last = std::max(last, s.end);
  for (EventIndex run : runs_of(v))
    if (run < at) last = std::max(last, event_point(run));
  return last;
}

// Returns the last event before `until` that uses the copy made at `from`, or kNone.
EventIndex Residency::last_use(ValueIndex v, EventIndex from, EventIndex until,
                               bool is_restored) const {
  EventIndex last = kNone;
  for (EventIndex serve : facts_.serves[v]) {
    if (serve >= until) break;
    if (serve > from || (is_restored && serve == from)) last = serve;
  }
  for (EventIndex reader : problem().readers(v)) {
    const auto& runs = runs_[reader];
    const auto past = std::ranges::lower_bound(runs, until);
    work_ += 1;
    if (past != runs.begin() && *(past - 1) > from) last = std::max(last, *(past - 1));
  }
  return last;
}

// Adds what of a stretch the program does not hold.
void Residency::cover(ValueIndex v, Stretch stretch, std::vector<Stretch>& out) const {
  for (Stretch held : facts_.held[v]) {
    if (held.end <= stretch.begin) continue;
    if (held.begin >= stretch.end) break;
    if (stretch.begin < held.begin) out.push_back({stretch.begin, held.begin});
    stretch.begin = std::max(stretch.begin, held.end);
  }
  if (stretch.begin < stretch.end) out.push_back(stretch);
}

void Residency::find_stretches(ValueIndex v, std::vector<Stretch>& out) {
  const auto& runs = runs_of(v);
  out.clear();
  bool is_restored = false;
  // A source lies there from the start.
  EventIndex from = std::max(graph_.values[v].producer, 0);
  std::size_t next = 0;
  for (bool is_last = false; !is_last; is_restored = true) {
    while (next < runs.size() && is_held(v, runs[next])) ++next;
    is_last = next == runs.size();
    const EventIndex until = is_last ? graph_.num_events() : runs[next];
    const EventIndex last = last_use(v, from, until, is_restored);
    work_ += 2;
    const int end = last == kNone ? 0 : list_point(last) + 1;
    cover(v, {event_point(from), end}, out);
    if (!is_last) from = runs[next++];
  }
}

void Residency::touch_value(ValueIndex v) {
  const bool is_fixed = !facts_.is_managed[v] && !facts_.can_outlast[v];
  if (is_fixed || std::exchange(is_value_touched_[v], 1)) return;
  touched_values_.push_back(v);
}

void Residency::touch_list(EventIndex at) {
  if (!std::exchange(is_list_touched_[at], 1)) touched_lists_.push_back(at);
}

void Residency::change(const Change& change) {
  const auto [at, op] = change.rerun;
  const Nanoseconds cost = graph_.events[op].cost_ns;
  if (change.is_added) {
    lists_[at].insert(std::ranges::lower_bound(lists_[at], op), op);
    runs_[op].insert(std::ranges::lower_bound(runs_[op], at), at);
    cost_ns_ += cost;
    ++num_replays_;
  } else {
    lists_[at].erase(std::ranges::lower_bound(lists_[at], op));
    runs_[op].erase(std::ranges::lower_bound(runs_[op], at));
    cost_ns_ -= cost;
    --num_replays_;
  }
  touch_list(at);
  for (ValueIndex v : problem().reads(op)) touch_value(v);
  for (ValueIndex v : problem().restores(op)) touch_value(v);
}

void Residency::settle() {
  for (ValueIndex v : touched_values_) update_value(v);
  touched_values_.clear();
  for (EventIndex at : touched_lists_) update_list(at);
  touched_lists_.clear();
}

void Residency::update_value(ValueIndex v) {
  is_value_touched_[v] = 0;
  std::vector<Stretch>& now = scratch_;
  find_stretches(v, now);
  std::vector<Stretch>& old = stretches_[v];
  if (now == old) return;
  // A list that restores the value depends on whether it is there before and wanted after.
  for (EventIndex run : runs_of(v)) touch_list(run);
  const Bytes bytes = graph_.values[v].bytes;
  std::size_t same = 0;
  while (same < old.size() && same < now.size() && old[same] == now[same]) ++same;
  for (std::size_t i = same; i < old.size(); ++i) tree_.add(old[i].begin, old[i].end, -bytes);
  for (std::size_t i = same; i < now.size(); ++i) tree_.add(now[i].begin, now[i].end, bytes);
  work_ += 8;
  old = now;
  spans_[v] = old.empty() ? Stretch{} : Stretch{old.front().begin, old.back().end};
}

void Residency::update_list(EventIndex at) {
  is_list_touched_[at] = 0;
  const Bytes bytes = lists_[at].empty() ? 0 : list_bytes(at);
  tree_.add(list_point(at), list_point(at) + 1, bytes - list_bytes_[at]);
  list_bytes_[at] = bytes;
}

// The most that the replays of a list add to what lies there when it begins: as simulate has it.
Bytes Residency::list_bytes(EventIndex at) {
  const std::vector<EventIndex>& ops = lists_[at];
  for (EventIndex op : ops)
    for (ValueIndex v : problem().reads(op)) ++temporaries_[v].reads_left;
  Bytes live = 0;
  Bytes most = 0;
  const auto leave = [&](ValueIndex v) {
    temporaries_[v].is_there = false;
    live -= graph_.values[v].bytes;
  };
  const auto is_spent = [&](ValueIndex v) {
    const Temporary& value = temporaries_[v];
    return value.is_there && value.reads_left == 1 && !value.is_wanted;
  };
  for (EventIndex op : ops) {
    const auto& writes = facts_.writes[op];
    for (const InPlace& write : writes) {
      if (is_spent(write.input))
        temporaries_[write.input].is_there = false;
      else
        live += graph_.values[write.input].bytes;
    }
    Bytes over = 0;
    for (const InPlace& write : graph_.events[op].replays_in_place) {
      if (!is_spent(write.input)) continue;
      temporaries_[write.input].is_there = false;
      over += graph_.values[write.output].bytes;
    }
    most = std::max(most, live + facts_.burst_bytes(op, over));
    live += facts_.made_bytes[op] - over;
    for (ValueIndex v : problem().restores(op)) {
      Temporary& output = temporaries_[v];
      output.is_wanted = is_served(v, at) || is_covered(v, event_point(at));
      const bool is_new = !output.is_there && !is_held(v, at) && !is_covered(v, list_point(at));
      if (is_new && (output.is_wanted || output.reads_left > 0))
        output.is_there = true;
      else
        live -= graph_.values[v].bytes;
    }
    for (ValueIndex v : problem().reads(op)) {
      Temporary& input = temporaries_[v];
      if (--input.reads_left == 0 && input.is_there && !input.is_wanted) leave(v);
    }
    work_ += static_cast<std::int64_t>(2 + problem().reads(op).size());
  }
  for (EventIndex op : ops)
    for (ValueIndex v : problem().restores(op)) temporaries_[v] = {};
  return std::max(most, live);
}

void Residency::add(EventIndex at, std::span<const EventIndex> ops) {
  for (EventIndex op : ops) {
    const Change made{{at, op}, true};
    change(made);
    log_.push_back(made);
  }
  settle();
}

void Residency::undo_to(std::size_t size) {
  while (log_.size() > size) {
    Change inverse = log_.back();
    inverse.is_added = !inverse.is_added;
    change(inverse);
    log_.pop_back();
  }
  settle();
}

Interval Residency::changed_since(std::size_t size) const {
  Interval changed{graph_.num_events(), 0};
  for (std::size_t i = size; i < log_.size(); ++i) {
    const auto [at, op] = log_[i].rerun;
    const auto& runs = runs_[op];
    const auto here = std::ranges::lower_bound(runs, at);
    changed.begin = std::min(changed.begin, here == runs.begin() ? op : *(here - 1));
    changed.end = std::max(changed.end, at + 1);
  }
  return changed;
}

EventIndex Residency::last_use_of(Rerun rerun, ValueIndex v) const {
  if (is_held(v, rerun.at)) return kNone;
  const auto& runs = runs_[rerun.op];
  const auto next = std::ranges::upper_bound(runs, rerun.at);
  const EventIndex until = next == runs.end() ? graph_.num_events() : *next;
  return last_use(v, rerun.at - 1, until, false);
}

// Whether what the replay restores can stay from before, as long as it is used.
bool Residency::can_be_without(Rerun rerun) const {
  return std::ranges::all_of(problem().restores(rerun.op), [&](ValueIndex v) {
    const EventIndex last = last_use_of(rerun, v);
    return last == kNone || is_served(v, last) || is_held(v, last) || can_stay(v, rerun.at, last);
  });
}

bool Residency::is_used(Rerun rerun) const {
  return std::ranges::any_of(problem().restores(rerun.op),
                             [&](ValueIndex v) { return last_use_of(rerun, v) != kNone; });
}

// Replays before `at` that were there only for what `op` reads.
void Residency::remove_unused(EventIndex at, EventIndex op) {
  for (ValueIndex v : problem().reads(op)) {
    if (!facts_.is_managed[v]) continue;
    const EventIndex producer = graph_.values[v].producer;
    const auto& runs = runs_[producer];
    const auto past = std::ranges::upper_bound(runs, at);
    if (past == runs.begin()) continue;
    const Rerun before{*(past - 1), producer};
    if (is_used(before)) continue;
    change({before, false});
    log_.push_back({before, false});
    remove_unused(before.at, producer);
  }
}

bool Residency::remove(Rerun rerun) {
  if (!can_be_without(rerun)) return false;
  change({rerun, false});
  log_.push_back({rerun, false});
  remove_unused(rerun.at, rerun.op);
  settle();
  return true;
}

}  // namespace tidemark
