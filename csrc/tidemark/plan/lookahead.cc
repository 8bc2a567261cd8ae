#include "tidemark/plan/lookahead.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "tidemark/plan/floor.h"

namespace tidemark {
namespace {

constexpr EventIndex kNever = std::numeric_limits<EventIndex>::max();
// A chain longer than this is dear enough to be told from others by its first ops.
constexpr int kLongestChain = 96;

// A value of the program's that the executor may keep beyond the program's holds, or give up.
struct Item {
  bool is_managed = false;
  bool is_held = false;     // by the program
  bool is_idle = false;     // in memory, by the executor's will alone
  bool is_original = true;  // never given up so far
  bool is_locked = false;   // wanted by this event or by a later replay of this list
  bool is_target = false;   // wanted by this event
  int reads_left = 0;
  int position = -1;               // in idle_
  EventIndex keep_until = kNone;   // cannot be had again: must stay until then
  double size_term = 1;            // bytes^alpha
  std::vector<EventIndex> serves;  // later holds' begins
  std::size_t next_serve = 0;
};

struct HoldEnd {
  ValueIndex value;
  bool is_last;
};

class Executor {
 public:
  Executor(const Problem& problem, Bytes limit, const LookaheadParameters& parameters)
      : problem_(problem), graph_(problem.graph()), limit_(limit), parameters_(parameters) {
    prepare();
  }

  // Runs the step. Returns whether it stayed within the limit.
  bool run();
  const Schedule& schedule() const { return schedule_; }
  // A value that could neither stay nor be had again, and the event that wanted it.
  std::pair<ValueIndex, EventIndex> lacking() const { return lacking_; }
  void require(ValueIndex v, EventIndex until) { items_[v].keep_until = until; }

 private:
  void prepare();
  void prepare_value(ValueIndex v);
  bool step(EventIndex e);
  void end_holds(EventIndex e);
  bool serve(EventIndex e, const std::vector<ValueIndex>& served);
  bool restore(EventIndex e, const std::vector<ValueIndex>& targets);
  bool collect(EventIndex e, const std::vector<ValueIndex>& targets, std::set<EventIndex>& ops);
  bool replay(EventIndex e, EventIndex op);
  void release_reads(EventIndex op);
  void unlock_all(const std::set<EventIndex>& ops);

  bool is_there(ValueIndex v) const;
  void become_idle(ValueIndex v);
  void leave_idle(ValueIndex v);
  bool make_room(Bytes base);
  ValueIndex cheapest();
  double score(ValueIndex v);
  double chain_cost(ValueIndex v);
  EventIndex next_want(ValueIndex v);
  bool is_wanted_later(ValueIndex v);

  const Problem& problem_;
  const StepGraph& graph_;
  Bytes limit_;
  LookaheadParameters parameters_;
  std::vector<Reading> pinned_;
  std::vector<Item> items_;
  std::vector<ValueIndex> idle_;
  std::vector<std::vector<HoldEnd>> hold_ends_;
  std::vector<std::vector<ValueIndex>> hold_begins_;
  std::vector<std::vector<ValueIndex>> tail_ends_;
  Bytes idle_bytes_ = 0;
  EventIndex now_ = 0;
  Schedule schedule_;
  std::pair<ValueIndex, EventIndex> lacking_{kNone, kNone};
  // Answers of next_want and chain_cost hold until a value comes or goes.
  int stamp_ = 1;
  std::vector<int> want_stamp_;
  std::vector<EventIndex> want_;
  int visit_ = 0;
  std::vector<int> visited_;
  std::vector<EventIndex> stack_;
};

void Executor::prepare() {
  const EventIndex n = graph_.num_events();
  pinned_ = pinned_curve(problem_, true);
  items_.resize(graph_.values.size());
  hold_ends_.resize(n + 2);
  hold_begins_.resize(n + 2);
  tail_ends_.resize(n + 2);
  want_stamp_.assign(graph_.values.size(), 0);
  want_.assign(graph_.values.size(), kNever);
  visited_.assign(n, 0);
  for (ValueIndex v = 0; v < graph_.num_values(); ++v) prepare_value(v);
}

void Executor::prepare_value(ValueIndex v) {
  const Value& value = graph_.values[v];
  const int first = problem_.first_gap(v);
  const int last = problem_.first_gap(v + 1);
  if (value.producer == kNone || value.holds.empty()) return;
  Item& item = items_[v];
  item.is_managed = true;
  item.size_term =
      std::pow(static_cast<double>(std::max<Bytes>(value.bytes, 1)), parameters_.alpha);
  hold_begins_[value.producer].push_back(v);
  if (first == last) {
    hold_ends_[std::min(problem_.natural_end(v), graph_.num_events())].push_back({v, true});
    return;
  }
  int gap = first;
  for (std::size_t i = 1; i < value.holds.size(); ++i) {
    const Interval time{value.holds[i - 1].end, value.holds[i].begin};
    const bool is_droppable = gap < last && problem_.gaps()[gap].time == time;
    if (is_droppable) ++gap;
    // A gap that may not be dropped is as good as a hold.
    if (!is_droppable && time.begin < time.end) continue;
    hold_ends_[time.begin].push_back({v, false});
    item.serves.push_back(time.end);
  }
  const EventIndex end = std::min(problem_.end_of(v, value.holds.back()), graph_.num_events());
  hold_ends_[end].push_back({v, true});
}

bool Executor::is_there(ValueIndex v) const {
  const Value& value = graph_.values[v];
  const Item& item = items_[v];
  if (item.is_idle) return true;
  if (value.overwritten_at != kNone && value.overwritten_at <= now_) return false;
  return item.is_managed ? item.is_held : problem_.natural_end(v) > now_;
}

void Executor::become_idle(ValueIndex v) {
  Item& item = items_[v];
  if (item.is_idle) return;
  item.is_idle = true;
  item.position = static_cast<int>(idle_.size());
  idle_.push_back(v);
  idle_bytes_ += graph_.values[v].bytes;
  ++stamp_;
}

void Executor::leave_idle(ValueIndex v) {
  Item& item = items_[v];
  if (!item.is_idle) return;
  item.is_idle = false;
  items_[idle_.back()].position = item.position;
  idle_[item.position] = idle_.back();
  idle_.pop_back();
  idle_bytes_ -= graph_.values[v].bytes;
  ++stamp_;
}

// The first event that wants `v`: a hold, or a missing value that is computed from it.
EventIndex Executor::next_want(ValueIndex v) {
  if (want_stamp_[v] == stamp_) return want_[v];
  want_stamp_[v] = stamp_;
  const Item& item = items_[v];
  want_[v] = item.next_serve < item.serves.size() ? item.serves[item.next_serve] : kNever;
  EventIndex first = want_[v];
  for (EventIndex reader : problem_.readers(v)) {
    if (reader >= now_) break;
    for (ValueIndex output : problem_.restores(reader))
      if (items_[output].is_managed && !is_there(output))
        first = std::min(first, next_want(output));
  }
  return want_[v] = first;
}

bool Executor::is_wanted_later(ValueIndex v) {
  // The runtime's reference to a saved value ends with its last handle.
  if (!graph_.values[v].handles.empty() && problem_.natural_end(v) <= now_) return false;
  return items_[v].keep_until > now_ || next_want(v) != kNever;
}

double Executor::chain_cost(ValueIndex v) {
  ++visit_;
  stack_.assign(1, graph_.values[v].producer);
  visited_[stack_.back()] = visit_;
  double cost = 0;
  for (int length = 0; !stack_.empty() && length < kLongestChain; ++length) {
    const EventIndex op = stack_.back();
    stack_.pop_back();
    cost += static_cast<double>(graph_.events[op].cost_ns);
    for (ValueIndex input : problem_.reads(op)) {
      const EventIndex producer = graph_.values[input].producer;
      if (producer == kNone || visited_[producer] == visit_ || is_there(input)) continue;
      visited_[producer] = visit_;
      stack_.push_back(producer);
    }
  }
  return cost;
}

double Executor::score(ValueIndex v) {
  const EventIndex want = next_want(v);
  if (want == kNever) return 0;
  const double cost = std::max(chain_cost(v), 1.0);
  const double distance = want - now_ + 1;
  const double cost_term = parameters_.gamma == 1 ? cost : std::pow(cost, parameters_.gamma);
  const double distance_term = parameters_.beta == 1     ? distance
                               : parameters_.beta == 0.5 ? std::sqrt(distance)
                               : parameters_.beta == 0   ? 1
                                                         : std::pow(distance, parameters_.beta);
  return cost_term / (items_[v].size_term * distance_term);
}

ValueIndex Executor::cheapest() {
  ValueIndex best = kNone;
  double best_score = std::numeric_limits<double>::infinity();
  for (ValueIndex v : idle_) {
    const Item& item = items_[v];
    if (item.is_locked || item.keep_until >= now_ || graph_.values[v].bytes == 0) continue;
    const double here = score(v);
    if (here < best_score || (here == best_score && v < best)) {
      best = v;
      best_score = here;
    }
  }
  return best;
}

bool Executor::make_room(Bytes base) {
  // On the way up to the peak some room is left for replays to come.
  const bool is_rising = now_ < problem_.unplanned().peak_event;
  const double share = is_rising ? 1 - parameters_.headroom : 1;
  const Bytes wanted = static_cast<Bytes>(static_cast<double>(limit_) * share);
  while (base + idle_bytes_ > wanted) {
    const ValueIndex v = cheapest();
    if (v == kNone) break;
    leave_idle(v);
    items_[v].is_original = false;
  }
  return base + idle_bytes_ <= limit_;
}

void Executor::end_holds(EventIndex e) {
  for (const HoldEnd& end : hold_ends_[e]) {
    Item& item = items_[end.value];
    item.is_held = false;
    ++stamp_;
    const Value& value = graph_.values[end.value];
    const bool is_gone = value.overwritten_at != kNone && value.overwritten_at <= e;
    if (!end.is_last) {
      become_idle(end.value);
    } else if (item.is_original && problem_.natural_end(end.value) > e) {
      // Its gaps were kept, so it stays until its last handle is gone.
      become_idle(end.value);
      item.keep_until = std::max(item.keep_until, problem_.natural_end(end.value) - 1);
      tail_ends_[std::min(problem_.natural_end(end.value), graph_.num_events())].push_back(
          end.value);
    } else if (!is_gone && is_wanted_later(end.value) && problem_.keep_event(end.value) != kNone) {
      become_idle(end.value);
      if (!value.handles.empty())
        tail_ends_[std::min(problem_.natural_end(end.value), graph_.num_events())].push_back(
            end.value);
    }
  }
  for (ValueIndex v : tail_ends_[e])
    if (!is_wanted_later(v)) leave_idle(v);
}

bool Executor::collect(EventIndex e, const std::vector<ValueIndex>& targets,
                       std::set<EventIndex>& ops) {
  std::vector<ValueIndex> missing = targets;
  while (!missing.empty()) {
    const ValueIndex v = missing.back();
    missing.pop_back();
    if (!problem_.can_replay_at(v, e)) {
      lacking_ = {v, e};
      return false;
    }
    if (!ops.insert(graph_.values[v].producer).second) continue;
    for (ValueIndex input : problem_.reads(graph_.values[v].producer))
      if (!is_there(input)) missing.push_back(input);
  }
  return true;
}

void Executor::release_reads(EventIndex op) {
  for (ValueIndex v : problem_.reads(op)) {
    Item& item = items_[v];
    if (--item.reads_left > 0 || item.is_target) continue;
    item.is_locked = false;
    if (item.is_idle && !is_wanted_later(v)) leave_idle(v);
  }
}

bool Executor::replay(EventIndex e, EventIndex index) {
  const Event& op = graph_.events[index];
  Bytes burst = op.workspace_bytes;
  std::vector<ValueIndex> consumed;
  for (const InPlace& write : op.in_place) {
    const auto& reads = problem_.reads(index);
    if (std::ranges::find(reads, write.input) == reads.end()) continue;
    const Item& input = items_[write.input];
    const bool moves = input.is_idle && !input.is_original && input.reads_left == 1 &&
                       !input.is_target && !input.is_held;
    // Better computed again later than copied now.
    if (moves) consumed.push_back(write.input);
  }
  for (ValueIndex v : problem_.restores(index)) burst += graph_.values[v].bytes;
  for (ValueIndex v : consumed) burst -= graph_.values[v].bytes;
  if (!make_room(pinned_[e].before + burst)) return false;
  for (ValueIndex v : consumed) leave_idle(v);
  for (ValueIndex v : problem_.restores(index)) {
    Item& item = items_[v];
    if (is_there(v) || !item.is_managed) continue;
    if (!item.is_target && item.reads_left == 0 && !is_wanted_later(v)) continue;
    item.is_original = false;
    item.is_locked = item.is_target || item.reads_left > 0;
    become_idle(v);
  }
  release_reads(index);
  return true;
}

void Executor::unlock_all(const std::set<EventIndex>& ops) {
  for (EventIndex op : ops)
    for (ValueIndex v : problem_.reads(op)) {
      items_[v].is_locked = false;
      items_[v].reads_left = 0;
    }
}

bool Executor::restore(EventIndex e, const std::vector<ValueIndex>& targets) {
  std::set<EventIndex> ops;
  if (!collect(e, targets, ops)) return false;
  for (EventIndex op : ops)
    for (ValueIndex v : problem_.reads(op)) {
      ++items_[v].reads_left;
      items_[v].is_locked = true;
    }
  const bool fits = std::ranges::all_of(ops, [&](EventIndex op) { return replay(e, op); });
  unlock_all(ops);
  if (fits) schedule_.push_back({e, {ops.begin(), ops.end()}});
  return fits;
}

bool Executor::serve(EventIndex e, const std::vector<ValueIndex>& served) {
  std::vector<ValueIndex> begins;
  std::vector<ValueIndex> targets;
  for (ValueIndex v : served) {
    Item& item = items_[v];
    if (item.next_serve >= item.serves.size() || item.serves[item.next_serve] != e) continue;
    begins.push_back(v);
    item.is_target = item.is_locked = true;
    if (!item.is_idle) targets.push_back(v);
  }
  if (!targets.empty() && !restore(e, targets)) return false;
  for (ValueIndex v : begins) {
    Item& item = items_[v];
    item.is_target = item.is_locked = false;
    item.is_held = true;
    ++item.next_serve;
    leave_idle(v);
  }
  return true;
}

bool Executor::step(EventIndex e) {
  now_ = e;
  ++stamp_;
  end_holds(e);
  const Event& event = graph_.events[e];
  const bool is_unpack = event.kind == EventKind::kUnpack;
  if (is_unpack || !graph_.has_runtime_actions)
    if (!serve(e, is_unpack ? event.values : event.inputs)) return false;
  for (ValueIndex v : hold_begins_[e]) items_[v].is_held = true;
  return make_room(pinned_[e].peak);
}

bool Executor::run() {
  for (EventIndex e = 0; e < graph_.num_events(); ++e)
    if (!step(e)) return false;
  return true;
}

}  // namespace

std::optional<Schedule> lookahead(const Problem& problem, Bytes limit,
                                  const LookaheadParameters& parameters) {
  std::vector<std::pair<ValueIndex, EventIndex>> required;
  // Each round learns of one value that must stay; most graphs have none.
  constexpr int kRounds = 24;
  for (int round = 0; round < kRounds; ++round) {
    Executor executor(problem, limit, parameters);
    for (const auto& [value, until] : required) executor.require(value, until);
    if (executor.run()) {
      Schedule schedule = executor.schedule();
      prune(problem, schedule);
      return schedule;
    }
    const auto lacking = executor.lacking();
    if (lacking.first == kNone || !problem.can_stay_until(lacking.first, lacking.second))
      return std::nullopt;
    if (std::ranges::find(required, lacking) != required.end()) return std::nullopt;
    required.push_back(lacking);
  }
  return std::nullopt;
}

}  // namespace tidemark
