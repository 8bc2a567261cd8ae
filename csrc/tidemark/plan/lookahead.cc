#include "tidemark/plan/lookahead.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "tidemark/plan/wants.h"

namespace tidemark {

struct HoldEnd {
  ValueIndex value;
  bool is_last;
};

struct Holds {
  std::vector<std::vector<ValueIndex>> begins;  // per event
  std::vector<std::vector<HoldEnd>> ends;       // per event
  std::vector<std::vector<EventIndex>> serves;  // per value: where it is taken up again
};

// What no pass can change: who is held when, and who comes from whom.
struct Lookahead::Course {
  Course(const Problem& problem, const Holds& holds)
      : relatives(problem),
        hold_begins(holds.begins),
        hold_ends(holds.ends),
        serves(holds.serves) {}

  Relatives relatives;
  Rows<ValueIndex> hold_begins;
  Rows<HoldEnd> hold_ends;
  Rows<EventIndex> serves;
};

namespace {

void add_holds(const Problem& problem, ValueIndex v, Holds& holds) {
  const StepGraph& graph = problem.graph();
  const Value& value = graph.values[v];
  const int first = problem.first_gap(v);
  const int last = problem.first_gap(v + 1);
  if (value.producer == kNone || value.holds.empty()) return;
  holds.begins[value.producer].push_back(v);
  if (first == last) {
    holds.ends[std::min(problem.natural_end(v), graph.num_events())].push_back({v, true});
    return;
  }
  int gap = first;
  for (std::size_t i = 1; i < value.holds.size(); ++i) {
    const Interval time{value.holds[i - 1].end, value.holds[i].begin};
    const bool is_droppable = gap < last && problem.gaps()[gap].time == time;
    if (is_droppable) ++gap;
    // A gap that may not be dropped is as good as a hold.
    if (!is_droppable && time.begin < time.end) continue;
    holds.ends[time.begin].push_back({v, false});
    holds.serves[v].push_back(time.end);
  }
  const EventIndex end = std::min(problem.end_of(v, value.holds.back()), graph.num_events());
  holds.ends[end].push_back({v, true});
}

Holds find_holds(const Problem& problem) {
  const StepGraph& graph = problem.graph();
  Holds holds;
  holds.begins.resize(graph.events.size() + 2);
  holds.ends.resize(graph.events.size() + 2);
  holds.serves.resize(graph.values.size());
  for (ValueIndex v = 0; v < graph.num_values(); ++v) add_holds(problem, v, holds);
  return holds;
}

constexpr double kFavour = 1000;
// Values looked at, and steps that a new weight takes, as Residency::work() counts.
constexpr int kScannedPerStep = 16;
constexpr int kStepsPerWeight = 4;

constexpr LookaheadParameters kParameters[] = {
    {.alpha = 1, .beta = 1, .gamma = 1},
    {.alpha = 1, .beta = 0.5, .gamma = 1},
    {.alpha = 1, .beta = 0, .gamma = 1},
    {.alpha = 0.7, .beta = 1, .gamma = 1},
    {.alpha = 0.7, .beta = 0.5, .gamma = 1},
    {.alpha = 0.7, .beta = 0, .gamma = 1},
    {.alpha = 1.3, .beta = 1, .gamma = 1},
    {.alpha = 1.3, .beta = 0.5, .gamma = 1},
    {.alpha = 1.3, .beta = 0, .gamma = 1},
    {.alpha = 1, .beta = 1, .gamma = 0.6},
    {.alpha = 0.7, .beta = 1, .gamma = 0.6},
    {.alpha = 1, .beta = 0.5, .gamma = 0.6},
    {.alpha = 1, .beta = 0, .gamma = 1, .headroom = 0.05},
    {.alpha = 1, .beta = 0, .gamma = 1, .headroom = 0.1},
    {.alpha = 1, .beta = 0, .gamma = 1, .headroom = 0.2},
    {.alpha = 0.7, .beta = 0.25, .gamma = 1, .headroom = 0.05},
    {.alpha = 1, .beta = 0.25, .gamma = 1, .headroom = 0.1},
    {.alpha = 1, .beta = 0.5, .gamma = 1, .headroom = 0.2},
};

// A value of the program's that the executor may keep beyond the program's holds, or give up.
struct Item {
  bool is_held = false;      // by the program
  bool is_idle = false;      // in memory, by the executor's will alone
  bool is_original = true;   // never given up so far
  bool is_locked = false;    // wanted by this event or by a later replay of this list
  bool is_target = false;    // wanted by this event
  bool is_favoured = false;  // better not given up before the peak
  int reads_left = 0;
  int position = -1;  // in idle_
  int next_serve = 0;
  EventIndex keep_until = kNone;  // cannot be had again: must stay until then
};

// An idle value with its score but for the time until it is wanted.
struct Idle {
  ValueIndex value;
  EventIndex want;
  double weight;  // cost^gamma / bytes^alpha
};

class Executor {
 public:
  Executor(const Problem& problem, const Lookahead::Course& course, Bytes limit,
           const LookaheadParameters& parameters, const LookaheadOptions& options,
           std::int64_t& work)
      : problem_(problem),
        graph_(problem.graph()),
        course_(course),
        limit_(limit),
        most_cost_ns_(options.most_cost_ns),
        most_work_(options.most_work),
        stop_(options.stop),
        parameters_(parameters),
        items_(graph_.values.size()),
        tail_ends_(graph_.events.size() + 2),
        wants_(problem, course.relatives),
        work_(work) {
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) set_own_want(v);
    for (ValueIndex v : options.favoured) items_[v].is_favoured = true;
  }

  // Runs the step. Returns whether it stayed within the limit.
  bool run();
  const Schedule& schedule() const { return schedule_; }
  // A value that could neither stay nor be had again, and the event that wanted it.
  std::pair<ValueIndex, EventIndex> lacking() const { return lacking_; }
  void require(ValueIndex v, EventIndex until) { items_[v].keep_until = until; }

 private:
  bool step(EventIndex e);
  void end_holds(EventIndex e);
  void end_hold(EventIndex e, const HoldEnd& end);
  bool serve(EventIndex e, const std::vector<ValueIndex>& served);
  bool restore(EventIndex e, const std::vector<ValueIndex>& targets);
  bool collect(EventIndex e, const std::vector<ValueIndex>& targets, std::set<EventIndex>& ops);
  bool replay(EventIndex e, EventIndex op);
  void release_reads(EventIndex op);
  void unlock_all(const std::set<EventIndex>& ops);

  bool is_managed(ValueIndex v) const { return course_.relatives.is_managed[v] != 0; }
  bool is_there(ValueIndex v) const;
  bool is_served_at(ValueIndex v, EventIndex e) const;
  void set_own_want(ValueIndex v);
  void become_idle(ValueIndex v);
  void leave_idle(ValueIndex v);
  void stay_until_last_handle(ValueIndex v);
  bool make_room(Bytes base);
  void refresh_weights();
  void end_favour();
  ValueIndex cheapest();
  template <typename Distance>
  ValueIndex cheapest_by(Distance distance) const;
  bool is_free(ValueIndex v) const;
  bool is_wanted_later(ValueIndex v);
  bool is_favoured_now(ValueIndex v) const {
    return items_[v].is_favoured && now_ < problem_.unplanned().peak_event;
  }

  const Problem& problem_;
  const StepGraph& graph_;
  const Lookahead::Course& course_;
  Bytes limit_;
  Nanoseconds most_cost_ns_;
  std::int64_t most_work_;
  const std::function<bool()>& stop_;
  Nanoseconds cost_ns_ = 0;
  int num_replays_ = 0;
  LookaheadParameters parameters_;
  std::vector<Item> items_;
  std::vector<Idle> idle_;
  std::vector<std::vector<ValueIndex>> tail_ends_;
  Wants wants_;
  Bytes idle_bytes_ = 0;
  EventIndex now_ = 0;
  Schedule schedule_;
  std::pair<ValueIndex, EventIndex> lacking_{kNone, kNone};
  std::int64_t& work_;
};

bool Executor::is_there(ValueIndex v) const {
  const Value& value = graph_.values[v];
  const Item& item = items_[v];
  if (item.is_idle) return true;
  if (value.overwritten_at != kNone && value.overwritten_at <= now_) return false;
  return is_managed(v) ? item.is_held : problem_.is_there(v, now_);
}

bool Executor::is_served_at(ValueIndex v, EventIndex e) const {
  const auto serves = course_.serves[v];
  const auto next = static_cast<std::size_t>(items_[v].next_serve);
  return next < serves.size() && serves[next] == e;
}

void Executor::set_own_want(ValueIndex v) {
  const auto serves = course_.serves[v];
  const auto next = static_cast<std::size_t>(items_[v].next_serve);
  wants_.set_own_want(v, next < serves.size() ? serves[next] : kNever);
}

void Executor::become_idle(ValueIndex v) {
  Item& item = items_[v];
  if (item.is_idle) return;
  item.is_idle = true;
  item.position = static_cast<int>(idle_.size());
  idle_.push_back({v, kNever, 0});
  idle_bytes_ += graph_.values[v].bytes;
  wants_.set_missing(v, false);
  wants_.mark_changed(v);
}

void Executor::leave_idle(ValueIndex v) {
  Item& item = items_[v];
  if (!item.is_idle) return;
  item.is_idle = false;
  items_[idle_.back().value].position = item.position;
  idle_[item.position] = idle_.back();
  idle_.pop_back();
  idle_bytes_ -= graph_.values[v].bytes;
  wants_.set_missing(v, !item.is_held);
}

bool Executor::is_wanted_later(ValueIndex v) {
  // The runtime's reference to a saved value ends with its last handle.
  if (!graph_.values[v].handles.empty() && problem_.natural_end(v) <= now_) return false;
  return items_[v].keep_until > now_ || is_favoured_now(v) || wants_.next(v) != kNever;
}

void Executor::refresh_weights() {
  for (ValueIndex v : wants_.take_changed()) {
    ++work_;
    if (!items_[v].is_idle) continue;
    work_ += kStepsPerWeight;
    Idle& idle = idle_[items_[v].position];
    idle.want = wants_.next(v);
    if (is_favoured_now(v) && idle.want == kNever) idle.want = graph_.num_events();
    if (idle.want == kNever) continue;
    const double cost = std::max(wants_.cost_ns(v), 1.0);
    const double bytes = static_cast<double>(std::max<Bytes>(graph_.values[v].bytes, 1));
    idle.weight = (parameters_.gamma == 1 ? cost : std::pow(cost, parameters_.gamma)) /
                  (parameters_.alpha == 1 ? bytes : std::pow(bytes, parameters_.alpha));
    if (is_favoured_now(v)) idle.weight *= kFavour;
  }
}

void Executor::end_favour() {
  for (const Idle& idle : idle_)
    if (items_[idle.value].is_favoured) wants_.mark_changed(idle.value);
}

bool Executor::is_free(ValueIndex v) const {
  return !items_[v].is_locked && items_[v].keep_until < now_ && graph_.values[v].bytes > 0;
}

template <typename Distance>
ValueIndex Executor::cheapest_by(Distance distance) const {
  ValueIndex best = kNone;
  double best_score = std::numeric_limits<double>::infinity();
  for (const Idle& idle : idle_) {
    const double score =
        idle.want == kNever ? 0 : idle.weight / distance(static_cast<double>(idle.want - now_ + 1));
    if (score > best_score || (score == best_score && idle.value > best)) continue;
    if (!is_free(idle.value)) continue;
    best = idle.value;
    best_score = score;
  }
  return best;
}

ValueIndex Executor::cheapest() {
  refresh_weights();
  work_ += static_cast<std::int64_t>(idle_.size()) / kScannedPerStep;
  const double beta = parameters_.beta;
  if (beta == 1) return cheapest_by([](double events) { return events; });
  if (beta == 0.5) return cheapest_by([](double events) { return std::sqrt(events); });
  if (beta == 0) return cheapest_by([](double) { return 1.0; });
  return cheapest_by([beta](double events) { return std::pow(events, beta); });
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

void Executor::stay_until_last_handle(ValueIndex v) {
  become_idle(v);
  tail_ends_[std::min(problem_.natural_end(v), graph_.num_events())].push_back(v);
}

void Executor::end_hold(EventIndex e, const HoldEnd& end) {
  const ValueIndex v = end.value;
  Item& item = items_[v];
  item.is_held = false;
  const Value& value = graph_.values[v];
  const bool is_gone = value.overwritten_at != kNone && value.overwritten_at <= e;
  if (!end.is_last) {
    become_idle(v);
  } else if (item.is_original && problem_.natural_end(v) > e) {
    // Its gaps were kept, so it stays until its last handle is gone.
    stay_until_last_handle(v);
    item.keep_until = std::max(item.keep_until, problem_.natural_end(v) - 1);
  } else if (!is_gone && is_wanted_later(v) && problem_.keep_event(v) != kNone) {
    if (value.handles.empty())
      become_idle(v);
    else
      stay_until_last_handle(v);
  }
  if (!item.is_idle) wants_.set_missing(v, true);
}

void Executor::end_holds(EventIndex e) {
  for (const HoldEnd& end : course_.hold_ends[e]) end_hold(e, end);
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
  cost_ns_ += op.cost_ns;
  if (cost_ns_ > most_cost_ns_) return false;
  if (++num_replays_ > Lookahead::kMostReplays * graph_.num_events()) return false;
  if (work_ > most_work_ || (stop_ && stop_())) return false;
  Bytes burst = op.workspace_bytes;
  std::vector<ValueIndex> consumed;
  const auto is_spent = [&](ValueIndex v) {
    const Item& item = items_[v];
    return item.is_idle && !item.is_original && item.reads_left == 1 && !item.is_target &&
           !item.is_held;
  };
  for (const InPlace& write : op.in_place) {
    const auto& reads = problem_.reads(index);
    if (std::ranges::find(reads, write.input) == reads.end()) continue;
    // Better computed again later than copied now.
    if (is_spent(write.input)) consumed.push_back(write.input);
  }
  for (const InPlace& write : op.replays_in_place)
    if (is_spent(write.input) && !is_wanted_later(write.input)) consumed.push_back(write.input);
  for (ValueIndex v : problem_.restores(index)) burst += graph_.values[v].bytes;
  for (ValueIndex v : consumed) burst -= graph_.values[v].bytes;
  if (!make_room(problem_.dropped()[e].before + burst)) return false;
  for (ValueIndex v : consumed) leave_idle(v);
  for (ValueIndex v : problem_.restores(index)) {
    Item& item = items_[v];
    if (is_there(v) || !is_managed(v)) continue;
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
    if (!is_served_at(v, e)) continue;
    Item& item = items_[v];
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
    set_own_want(v);
  }
  return true;
}

bool Executor::step(EventIndex e) {
  now_ = e;
  if (e == problem_.unplanned().peak_event) end_favour();
  end_holds(e);
  const Event& event = graph_.events[e];
  const bool is_unpack = event.kind == EventKind::kUnpack;
  if (is_unpack || !graph_.has_runtime_actions)
    if (!serve(e, is_unpack ? event.values : event.inputs)) return false;
  for (ValueIndex v : course_.hold_begins[e]) items_[v].is_held = true;
  return make_room(problem_.dropped()[e].peak);
}

bool Executor::run() {
  for (EventIndex e = 0; e < graph_.num_events(); ++e)
    if (!step(e)) return false;
  return true;
}

}  // namespace

std::span<const LookaheadParameters> lookahead_parameters() { return kParameters; }

Lookahead::Lookahead(const Problem& problem)
    : problem_(problem), course_(std::make_unique<const Course>(problem, find_holds(problem))) {}

Lookahead::~Lookahead() = default;

std::optional<Schedule> Lookahead::run(Bytes limit, const LookaheadParameters& parameters,
                                       const LookaheadOptions& options, std::int64_t& work) const {
  LookaheadOptions left = options;
  std::vector<std::pair<ValueIndex, EventIndex>> required;
  // Each round learns of one value that must stay; most graphs have none.
  constexpr int kRounds = 24;
  for (int round = 0; round < kRounds; ++round) {
    std::int64_t own_work = problem_.graph().num_events();
    Executor executor(problem_, *course_, limit, parameters, left, own_work);
    for (const auto& [value, until] : required) executor.require(value, until);
    const bool fits = executor.run();
    work += own_work;
    left.most_work -= own_work;
    if (fits) {
      Schedule schedule = executor.schedule();
      prune(problem_, schedule);
      return schedule;
    }
    const auto lacking = executor.lacking();
    if (lacking.first == kNone || !problem_.can_stay_until(lacking.first, lacking.second))
      return std::nullopt;
    if (std::ranges::find(required, lacking) != required.end()) return std::nullopt;
    required.push_back(lacking);
  }
  return std::nullopt;
}

std::optional<Schedule> Lookahead::run(Bytes limit, const LookaheadParameters& parameters) const {
  std::int64_t work = 0;
  return run(limit, parameters, {}, work);
}

}  // namespace tidemark
