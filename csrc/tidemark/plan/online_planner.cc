#include "tidemark/plan/online_planner.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "tidemark/plan/evicted_neighbourhood.h"

namespace tidemark {
namespace {

constexpr std::size_t kMostAncestors = 64;  // a chain this long is dear enough
constexpr std::int64_t kMostRounds = 10;    // replays in steps' worth of ops

// The executor reckons with what is always there, the simulator with what really is: where the two
// differ, a little less is asked of the executor.
constexpr double kShares[] = {1, 0.98, 0.95, 0.9};

constexpr Nanoseconds kEndless = std::numeric_limits<Nanoseconds>::max();

class Execution {
 public:
  Execution(const Problem& problem, Bytes limit, OnlineScore score, Nanoseconds most_cost_ns)
      : problem_(problem),
        graph_(problem.graph()),
        limit_(limit),
        score_(score),
        most_cost_ns_(most_cost_ns),
        evicted_(problem),
        gap_begins_(graph_.events.size() + 1),
        gap_ends_(graph_.events.size() + 1),
        deaths_(graph_.events.size() + 1),
        position_(graph_.values.size(), -1),
        is_in_gap_(graph_.values.size(), 0),
        reads_left_(graph_.values.size(), 0),
        num_missing_(graph_.events.size(), 0),
        last_access_(graph_.values.size(), 0),
        visited_(graph_.events.size(), 0) {
    for (const Gap& gap : problem.gaps()) {
      gap_begins_[gap.time.begin].push_back(gap.value);
      gap_ends_[gap.time.end].push_back(gap.value);
    }
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
      const bool is_made = graph_.values[v].producer != kNone;
      if (is_made && problem.natural_end(v) < graph_.num_events())
        deaths_[problem.natural_end(v)].push_back(v);
    }
  }

  // Returns whether there was a way to the end.
  bool run() {
    for (EventIndex e = 0; e < graph_.num_events() && !is_stuck_; ++e) step(e);
    return !is_stuck_;
  }

  bool is_too_dear() const { return cost_ns_ + owed_ns_ > most_cost_ns_; }

  Schedule take() { return std::move(schedule_); }

 private:
  bool is_idle(ValueIndex v) const { return position_[v] >= 0; }
  Bytes bytes(ValueIndex v) const { return graph_.values[v].bytes; }

  void step(EventIndex e) {
    now_ = e;
    for (ValueIndex v : deaths_[e]) evicted_.evict(v);
    for (ValueIndex v : gap_begins_[e]) {
      is_in_gap_[v] = 1;
      become_idle(v);
    }
    serve(e);
    make_room(problem_.dropped()[e].peak);
    const Event& event = graph_.events[e];
    clock_ += event.cost_ns;
    for (const auto* list : {&event.inputs, &event.outputs})
      for (ValueIndex v : *list) last_access_[v] = clock_;
  }

  void serve(EventIndex e) {
    std::vector<ValueIndex> missing;
    for (ValueIndex v : gap_ends_[e])
      if (!is_idle(v)) missing.push_back(v);
    if (!missing.empty()) restore(e, missing);
    for (ValueIndex v : gap_ends_[e]) {
      leave_idle(v);
      is_in_gap_[v] = 0;
    }
  }

  bool is_there(ValueIndex v) const {
    if (is_in_gap_[v]) return is_idle(v);
    return problem_.is_there(v, now_) || must_stay(v);
  }

  // What nothing can compute again is kept for the replays that read it: a number of the host's,
  // the result of a data-dependent op.
  bool must_stay(ValueIndex v) const {
    return problem_.can_stay_until(v, now_) && !problem_.can_replay_at(v, now_);
  }

  std::set<EventIndex> closure(std::vector<ValueIndex> missing) {
    std::set<EventIndex> ops;
    while (!missing.empty()) {
      const ValueIndex v = missing.back();
      missing.pop_back();
      is_stuck_ |= !problem_.can_replay_at(v, now_);
      if (is_stuck_) return {};
      const EventIndex op = graph_.values[v].producer;
      if (!ops.insert(op).second) continue;
      for (ValueIndex input : problem_.reads(op))
        if (!is_there(input)) missing.push_back(input);
    }
    return ops;
  }

  void restore(EventIndex e, const std::vector<ValueIndex>& missing) {
    const std::set<EventIndex> ops = closure(missing);
    num_replays_ += static_cast<std::int64_t>(ops.size());
    is_stuck_ |= num_replays_ > kMostRounds * graph_.num_events();
    if (is_stuck_) return;
    for (EventIndex op : ops)
      for (ValueIndex v : problem_.reads(op)) ++reads_left_[v];
    for (ValueIndex v : gap_ends_[e]) ++reads_left_[v];  // taken by the event itself
    for (EventIndex op : ops) replay(op);
    for (ValueIndex v : gap_ends_[e]) --reads_left_[v];
    temporary_bytes_ = 0;
    schedule_.push_back({e, {ops.begin(), ops.end()}});
  }

  void replay(EventIndex op) {
    const Event& event = graph_.events[op];
    Bytes made = 0;
    for (ValueIndex v : problem_.restores(op)) made += bytes(v);
    make_room(problem_.dropped()[now_].before + temporary_bytes_ + made + event.workspace_bytes);
    clock_ += event.cost_ns;
    cost_ns_ += event.cost_ns;
    if (std::exchange(num_missing_[op], 0) > 0) owed_ns_ -= event.cost_ns;
    is_stuck_ |= is_too_dear();
    for (ValueIndex v : problem_.restores(op)) {
      last_access_[v] = clock_;
      if (is_in_gap_[v])
        become_idle(v);
      else if (reads_left_[v] > 0 && !is_there(v))
        temporary_bytes_ += bytes(v);
    }
    for (ValueIndex v : problem_.reads(op)) {
      last_access_[v] = clock_;
      const bool is_temporary = !is_in_gap_[v] && !is_there(v);
      if (--reads_left_[v] == 0 && is_temporary) temporary_bytes_ -= bytes(v);
    }
  }

  void become_idle(ValueIndex v) {
    evicted_.bring_back(v);
    if (is_idle(v)) return;
    position_[v] = static_cast<int>(idle_.size());
    idle_.push_back(v);
    idle_bytes_ += bytes(v);
  }

  void leave_idle(ValueIndex v) {
    if (!is_idle(v)) return;
    position_[idle_.back()] = position_[v];
    idle_[position_[v]] = idle_.back();
    idle_.pop_back();
    position_[v] = -1;
    idle_bytes_ -= bytes(v);
  }

  void make_room(Bytes base) {
    while (base + idle_bytes_ > limit_) {
      const ValueIndex v = lowest();
      is_stuck_ |= v == kNone;
      if (is_stuck_) return;
      leave_idle(v);
      evicted_.evict(v);
      if (num_missing_[graph_.values[v].producer]++ == 0) owe(own_ns(v));
    }
  }

  // Everything evicted is needed again: its ops run once more at least.
  void owe(Nanoseconds cost) {
    owed_ns_ += cost;
    is_stuck_ |= is_too_dear();
  }

  ValueIndex lowest() {
    ValueIndex best = kNone;
    double best_score = std::numeric_limits<double>::infinity();
    for (ValueIndex v : idle_) {
      if (reads_left_[v] > 0 || bytes(v) == 0) continue;
      const double score = score_of(v, best_score);
      if (score > best_score || (score == best_score && v > best)) continue;
      best = v;
      best_score = score;
    }
    return best;
  }

  Nanoseconds own_ns(ValueIndex v) const {
    return graph_.events[graph_.values[v].producer].cost_ns;
  }

  // The score for a cost.
  double score_for(double cost, ValueIndex v) const {
    const auto staleness = static_cast<double>(clock_ - last_access_[v] + 1);
    if (score_ == OnlineScore::kLru) return 1 / staleness;
    return cost / (static_cast<double>(bytes(v)) * staleness);
  }

  // What lies around a value takes long to find: no more than shows that its score is above `most`.
  double score_of(ValueIndex v, double most) {
    const auto cost = static_cast<double>(own_ns(v));
    double score = score_for(cost, v);
    if (score > most) return score;
    if (score_ == OnlineScore::kDtrEq)
      score = score_for(cost + static_cast<double>(evicted_.cost_beside(v)), v);
    return score_ == OnlineScore::kDte ? score_with_ancestors(v, most) : score;
  }

  // With what is missing before the value's own op.
  double score_with_ancestors(ValueIndex v, double most) {
    auto cost = static_cast<double>(own_ns(v));
    double score = score_for(cost, v);
    std::size_t num_ancestors = 0;
    ++visit_;
    stack_ = {v};
    while (!stack_.empty() && num_ancestors < kMostAncestors && score <= most) {
      const EventIndex op = graph_.values[stack_.back()].producer;
      stack_.pop_back();
      for (ValueIndex input : problem_.reads(op)) {
        const EventIndex producer = graph_.values[input].producer;
        if (producer == kNone || !evicted_.is_evicted(input)) continue;
        if (std::exchange(visited_[producer], visit_) == visit_) continue;
        ++num_ancestors;
        cost += static_cast<double>(graph_.events[producer].cost_ns);
        stack_.push_back(input);
      }
      score = score_for(cost, v);
    }
    return score;
  }

  const Problem& problem_;
  const StepGraph& graph_;
  Bytes limit_;
  OnlineScore score_;
  Nanoseconds most_cost_ns_;
  EvictedNeighbourhood evicted_;
  std::vector<std::vector<ValueIndex>> gap_begins_;  // per event
  std::vector<std::vector<ValueIndex>> gap_ends_;
  std::vector<std::vector<ValueIndex>> deaths_;
  std::vector<ValueIndex> idle_;
  std::vector<int> position_;     // per value in idle_, -1 outside
  std::vector<char> is_in_gap_;   // per value
  std::vector<int> reads_left_;   // per value, of the list at hand
  std::vector<int> num_missing_;  // per op, what it made that was evicted
  std::vector<Nanoseconds> last_access_;
  std::vector<std::int64_t> visited_;  // per op, the last visit
  std::vector<ValueIndex> stack_;      // scratch
  std::int64_t visit_ = 0;
  EventIndex now_ = 0;
  Nanoseconds clock_ = 0;
  Nanoseconds cost_ns_ = 0;  // of replays
  Nanoseconds owed_ns_ = 0;  // the least that those to come will add
  Bytes idle_bytes_ = 0;
  Bytes temporary_bytes_ = 0;
  std::int64_t num_replays_ = 0;
  bool is_stuck_ = false;
  Schedule schedule_;
};

}  // namespace

std::optional<Schedule> online_schedule(const Problem& problem, Bytes limit, OnlineScore score) {
  Execution execution(problem, limit, score, kEndless);
  if (!execution.run()) return std::nullopt;
  return execution.take();
}

std::optional<Candidate> online_plan(const Problem& problem, Bytes budget, OnlineScore score,
                                     const std::function<bool()>& stop, Nanoseconds most_cost_ns) {
  for (double share : kShares) {
    if (stop && stop()) break;
    const auto limit = static_cast<Bytes>(share * static_cast<double>(budget));
    Execution execution(problem, limit, score, most_cost_ns);
    const bool is_through = execution.run();
    if (execution.is_too_dear()) break;  // within less it would compute again for even longer
    if (!is_through) continue;
    auto candidate = judge(problem, execution.take());
    if (candidate && candidate->simulation.peak_bytes <= budget) return candidate;
  }
  return std::nullopt;
}

}  // namespace tidemark
