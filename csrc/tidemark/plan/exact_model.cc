#include "tidemark/plan/exact_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "tidemark/base/error.h"
#include "tidemark/plan/bound.h"
#include "tidemark/plan/candidate.h"
#include "tidemark/plan/floor.h"

namespace tidemark {
namespace {

constexpr EventIndex kEnd = std::numeric_limits<EventIndex>::max();

}  // namespace

ExactModel::ExactModel(const Problem& problem, Bytes budget)
    : problem_(problem), facts_(problem), budget_(budget) {
  Bytes unit = 0;
  for (const Value& value : problem.graph().values) unit = std::gcd(unit, value.bytes);
  for (const Event& event : problem.graph().events) unit = std::gcd(unit, event.workspace_bytes);
  unit_ = std::max<Bytes>(unit, 1);
  is_complete_ = problem.gaps().size() == problem.restorable_gaps().size() &&
                 pinned_curve(problem) == problem.dropped();
  find_last_uses();
  find_stages();
  const int num_stages = static_cast<int>(stages_.size());
  for (int i = 0; i < num_stages; ++i) add_columns(i);
  for (int i = 0; i < num_stages; ++i) {
    const Stage& stage = stages_[i];
    for (ValueIndex v = 0; v < problem.graph().num_values(); ++v)
      if (is_there(stage, v)) tie_keep(i, v);
    for (EventIndex op = 0; op < stage.event; ++op)
      if (stage.run[op] != kNone) tie_run(stage, op);
    serve(stage);
    limit_between(i);
    limit_list(i);
  }
  is_outside_.resize(programme_.cost.size(), 0);
}

// A value is good for the events that serve it, and for what can be computed from it.
void ExactModel::find_last_uses() {
  const StepGraph& graph = problem_.graph();
  last_use_.assign(graph.values.size(), kNone);
  last_run_.assign(graph.events.size(), kNone);
  for (EventIndex op = graph.num_events() - 1; op >= 0; --op)
    for (ValueIndex v : graph.events[op].outputs) {
      if (!facts_.serves[v].empty()) last_use_[v] = facts_.serves[v].back();
      for (EventIndex reader : problem_.readers(v))
        last_use_[v] = std::max(last_use_[v], last_run_[reader]);
      if (problem_.is_replayable(op) && is_restored_by(op, v))
        last_run_[op] = std::max(last_run_[op], last_use_[v]);
    }
  for (ValueIndex v = 0; v < graph.num_values(); ++v)
    if (facts_.can_outlast[v])
      for (EventIndex reader : problem_.readers(v))
        last_use_[v] = std::max(last_use_[v], last_run_[reader]);
}

void ExactModel::find_stages() {
  const StepGraph& graph = problem_.graph();
  const auto& curve = problem_.unplanned().curve;
  const auto overflow = std::ranges::find_if(
      curve, [this](const Reading& reading) { return reading.peak > budget_; });
  const auto first = static_cast<EventIndex>(overflow - curve.begin());
  const EventKind kind = graph.has_runtime_actions ? EventKind::kUnpack : EventKind::kOp;
  const bool can_follow_first =
      first < graph.num_events() && graph.events[first].kind != kind && is_actionable(graph, first);
  EventIndex last_outside = can_follow_first ? first : kNone;
  for (EventIndex e = first + 1; e < graph.num_events(); ++e) {
    if (graph.events[e].kind != kind) {
      if (is_actionable(graph, e)) last_outside = e;
      continue;
    }
    stages_.push_back({.event = e, .last_outside = last_outside});
    last_outside = kNone;
  }
  is_impossible_ =
      std::ranges::any_of(facts_.curve, [this](RangeTree::Number live) { return live > budget_; });
}

void ExactModel::check_size() const {
  TIDEMARK_CHECK_VALUE(programme_.num_columns() <= kMostColumns,
                       "policy 'exact' is for steps of some hundred ops; this one has ",
                       problem_.graph().num_events(), " events. Use policy 'auto'.");
}

void ExactModel::add_columns(int i) {
  add_keeps(i);
  add_regains(i);
  add_runs(i);
  is_outside_.resize(programme_.cost.size(), 0);
  check_size();
}

void ExactModel::add_keeps(int i) {
  Stage& stage = stages_[i];
  stage.keep.assign(problem_.graph().values.size(), kNone);
  for (ValueIndex v = 0; v < problem_.graph().num_values(); ++v)
    if (can_keep(i, v)) stage.keep[v] = programme_.add_column(0, true);
  is_outside_.resize(programme_.cost.size(), 0);
}

void ExactModel::add_regains(int i) {
  Stage& stage = stages_[i];
  stage.regain.assign(problem_.graph().values.size(), kNone);
  for (EventIndex op = 0; op < stage.last_outside; ++op) {
    if (!problem_.is_replayable(op)) continue;
    int redo = kNone;
    for (ValueIndex v : problem_.restores(op)) {
      if (!can_be_there(i, v)) continue;
      if (redo == kNone)
        redo =
            programme_.add_column(static_cast<double>(problem_.graph().events[op].cost_ns), true);
      stage.regain[v] = programme_.add_column(0, false);
      programme_.add_row({{stage.regain[v], 1}, {redo, -1}}, 0);
    }
  }
  is_outside_.resize(programme_.cost.size(), 1);
}

void ExactModel::add_runs(int i) {
  Stage& stage = stages_[i];
  stage.run.assign(problem_.graph().events.size(), kNone);
  for (EventIndex op = 0; op < stage.event; ++op)
    if (can_run(stage, op)) {
      const auto cost = static_cast<double>(problem_.graph().events[op].cost_ns);
      stage.run[op] = programme_.add_column(cost, true);
    }
}

bool ExactModel::is_held(ValueIndex v, int point) const {
  return std::ranges::any_of(facts_.held[v], [point](const Stretch& held) {
    return held.begin <= point && point < held.end;
  });
}

bool ExactModel::is_served(ValueIndex v, EventIndex event) const {
  return std::ranges::binary_search(facts_.serves[v], event);
}

bool ExactModel::is_restored_by(EventIndex op, ValueIndex v) const {
  const auto& restored = problem_.restores(op);
  return std::ranges::find(restored, v) != restored.end();
}

// Whether the program holds the value at some time between the list before and that of stage i.
bool ExactModel::is_fresh(int i, ValueIndex v) const {
  if (i == 0) return producer(v) < stages_[i].event;
  const int begin = 2 * stages_[i - 1].event;
  const int end = 2 * stages_[i].event;
  return std::ranges::any_of(
      facts_.held[v], [=](const Stretch& held) { return held.begin < end && held.end > begin; });
}

// Whether the value may lie there up to the list though the program does not hold it.
bool ExactModel::can_be_there(int i, ValueIndex v) const {
  const EventIndex at = stages_[i].event;
  if (!is_planned(v) || producer(v) >= at || last_use_[v] < at) return false;
  const bool is_saved = !problem_.graph().values[v].handles.empty();
  return !is_held(v, 2 * at) && (!is_saved || problem_.natural_end(v) > at);
}

bool ExactModel::can_keep(int i, ValueIndex v) const {
  if (!can_be_there(i, v)) return false;
  if (is_fresh(i, v)) return true;
  const Stage& before = stages_[i - 1];
  return is_there(before, v) || restore(before, v) != kNone;
}

// The column of the replay that restores the value in the stage's list, or kNone.
int ExactModel::restore(const Stage& stage, ValueIndex v) const {
  return producer(v) != kNone && is_restored_by(producer(v), v) ? stage.run[producer(v)] : kNone;
}

bool ExactModel::can_run(const Stage& stage, EventIndex op) const {
  if (!problem_.is_replayable(op) || last_run_[op] < stage.event) return false;
  return std::ranges::all_of(problem_.reads(op), [&](ValueIndex v) {
    if (!is_planned(v)) return problem_.can_stay_until(v, stage.event);
    return is_held(v, 2 * stage.event) || is_there(stage, v) || restore(stage, v) != kNone;
  });
}

// keep[i][v] <= keep[i-1][v] + run[i-1][its op]: what lies there was there or was restored.
void ExactModel::tie_keep(int i, ValueIndex v) {
  const Stage& stage = stages_[i];
  programme_.add_row({{stage.keep[v], 1}, {stage.regain[v], 1}, {restore(stage, v), 1}}, 1);
  if (stage.keep[v] == kNone) return;
  if (!is_fresh(i, v)) {
    const Stage& last = stages_[i - 1];
    programme_.add_row(
        {{stage.keep[v], 1}, {last.keep[v], -1}, {last.regain[v], -1}, {restore(last, v), -1}}, 0);
  }
  if (problem_.can_stay_until(v, stage.event)) return;
  // Only a copy that a replay has made can still be there.
  Terms terms{{stage.keep[v], 1}};
  for (int k = 0; k < i; ++k) {
    terms.emplace_back(stages_[k].regain[v], -1);
    if (!is_held(v, 2 * stages_[k].event)) terms.emplace_back(restore(stages_[k], v), -1);
  }
  programme_.add_row(terms, 0);
}

// run[i][j] <= keep[i][v] + run[i][op of v] for all v that op j reads.
void ExactModel::tie_run(const Stage& stage, EventIndex op) {
  for (ValueIndex v : problem_.reads(op)) {
    if (!is_planned(v) || is_held(v, 2 * stage.event)) continue;
    programme_.add_row(
        {{stage.run[op], 1}, {stage.keep[v], -1}, {stage.regain[v], -1}, {restore(stage, v), -1}},
        0);
  }
}

void ExactModel::serve(const Stage& stage) {
  const Event& event = problem_.graph().events[stage.event];
  const bool is_unpack = event.kind == EventKind::kUnpack;
  for (ValueIndex v : is_unpack ? event.values : event.inputs) {
    if (!is_served(v, stage.event)) continue;
    if (!is_there(stage, v) && restore(stage, v) == kNone) is_impossible_ = true;
    programme_.add_row({{stage.keep[v], -1}, {stage.regain[v], -1}, {restore(stage, v), -1}}, -1);
  }
}

// Adds a row unless it holds whatever is chosen.
void ExactModel::limit(const std::map<int, Bytes>& bytes, Bytes constant) {
  Bytes most = constant;
  Bytes largest = unit_;
  for (const auto& [column, size] : bytes) {
    most += size;
    largest = std::max(largest, size);
  }
  if (most <= budget_) return;
  // Solvers like coefficients near 1; a power of two changes no digit.
  const Bytes units = budget_ >= constant ? (budget_ - constant) / unit_ : -1;
  const Bytes largest_units = largest / unit_;
  const double scale = 1 / std::exp2(std::floor(std::log2(static_cast<double>(largest_units))));
  Terms terms;
  for (const auto& [column, size] : bytes) {
    const Bytes size_units = size / unit_;
    terms.emplace_back(column, scale * static_cast<double>(size_units));
  }
  programme_.add_row(terms, scale * static_cast<double>(units));
}

// The events between two lists: of those with the same values in memory the highest.
void ExactModel::limit_between(int i) {
  const Stage& stage = stages_[i];
  std::map<std::vector<std::pair<int, Bytes>>, Bytes> highest;
  for (EventIndex e = i == 0 ? 0 : stages_[i - 1].event; e < stage.event; ++e) {
    const int point = 2 * e + 1;
    std::vector<std::pair<int, Bytes>> there;  // columns
    for (ValueIndex v = 0; v < problem_.graph().num_values(); ++v) {
      if (producer(v) > e || is_held(v, point)) continue;
      if (stage.keep[v] != kNone) there.emplace_back(stage.keep[v], bytes(v));
      if (stage.regain[v] != kNone && e > stage.last_outside)
        there.emplace_back(stage.regain[v], bytes(v));
    }
    Bytes& most = highest.try_emplace(std::move(there), 0).first->second;
    most = std::max<Bytes>(most, facts_.curve[point]);
  }
  for (const auto& [there, most] : highest) limit({there.begin(), there.end()}, most);
}

int ExactModel::keep_after(int i, ValueIndex v) const {
  return i + 1 < static_cast<int>(stages_.size()) ? stages_[i + 1].keep[v] : kNone;
}

// A value that the list restores lies there until its last read in the list, or for good.
void ExactModel::add_live_of(int i, ValueIndex v, std::vector<Live>& lives) {
  const Stage& stage = stages_[i];
  const EventIndex at = stage.event;
  if (bytes(v) == 0 || is_held(v, 2 * at)) return;
  const int keep = stage.keep[v];
  const int regain = stage.regain[v];
  EventIndex after = producer(v);
  int before = kNone;
  const auto extend = [&](EventIndex until) {
    const int live = programme_.add_column(0, false);
    lives.push_back({live, after, until, bytes(v)});
    if (before != kNone) programme_.add_row({{live, 1}, {before, -1}}, 0);
    before = live;
    after = until;
    return live;
  };
  for (EventIndex reader : problem_.readers(v)) {
    if (reader >= at || stage.run[reader] == kNone) continue;
    const int live = extend(reader);
    programme_.add_row({{stage.run[reader], 1}, {keep, -1}, {regain, -1}, {live, -1}}, 0);
  }
  if (is_served(v, at)) {
    programme_.add_row({{restore(stage, v), 1}, {extend(kEnd), -1}}, 0);
  } else if (const int later = keep_after(i, v); later != kNone) {
    const int live = extend(kEnd);
    programme_.add_row({{later, 1}, {keep, -1}, {regain, -1}, {live, -1}}, 0);
  }
}

// A written input that is not a temporary of the list read for the last time is copied first.
int ExactModel::add_clone(int i, EventIndex op, ValueIndex input) {
  const Stage& stage = stages_[i];
  const int run = stage.run[op];
  const bool can_be_temporary = facts_.is_managed[input] && !is_held(input, 2 * stage.event) &&
                                restore(stage, input) != kNone;
  if (!can_be_temporary || is_served(input, stage.event)) return run;
  const int clone = programme_.add_column(0, false);
  programme_.add_row({{run, 1}, {restore(stage, input), -1}, {clone, -1}}, 0);
  if (const int later = keep_after(i, input); later != kNone)
    programme_.add_row({{run, 1}, {later, 1}, {clone, -1}}, 1);
  for (EventIndex reader : problem_.readers(input))
    if (reader > op && reader < stage.event && stage.run[reader] != kNone)
      programme_.add_row({{run, 1}, {stage.run[reader], 1}, {clone, -1}}, 1);
  return clone;
}

void ExactModel::add_clones(int i, EventIndex op, std::vector<Live>& lives) {
  for (const InPlace& write : facts_.writes[op])
    lives.push_back({add_clone(i, op, write.input), op - 1, op, bytes(write.input)});
}

std::vector<ExactModel::Live> ExactModel::live_of(int i) {
  std::vector<Live> lives;
  for (EventIndex op = 0; op < stages_[i].event; ++op) {
    if (stages_[i].run[op] == kNone) continue;
    for (ValueIndex v : problem_.restores(op)) add_live_of(i, v, lives);
    add_clones(i, op, lives);
    Bytes over = 0;
    // A new block for what cannot be written over its input is as much as a copy of that.
    for (const InPlace& write : problem_.graph().events[op].replays_in_place) {
      const Bytes before = facts_.burst_bytes(op, over);
      over += bytes(write.output);
      const Bytes made = before - facts_.burst_bytes(op, over);
      lives.push_back({add_clone(i, op, write.input), op - 1, op, made});
    }
    lives.push_back({stages_[i].run[op], op - 1, op, facts_.burst_bytes(op, over)});
  }
  return lives;
}

void ExactModel::limit_list(int i) {
  const Stage& stage = stages_[i];
  const std::vector<Live> lives = live_of(i);
  std::map<int, Bytes> there;
  for (ValueIndex v = 0; v < problem_.graph().num_values(); ++v)
    for (int column : {stage.keep[v], stage.regain[v]})
      if (column != kNone) there[column] = bytes(v);
  const auto limit_at = [&](EventIndex op) {
    std::map<int, Bytes> terms = there;
    for (const Live& live : lives)
      if (live.after < op && op <= live.until) terms[live.column] += live.bytes;
    limit(terms, facts_.curve[2 * static_cast<std::size_t>(stage.event)]);
  };
  for (EventIndex op = 0; op < stage.event; ++op)
    if (stage.run[op] != kNone) limit_at(op);
  limit_at(kEnd);
}

Schedule ExactModel::schedule_of(std::span<const double> solution) const {
  Schedule schedule;
  for (const Stage& stage : stages_) {
    ReplayList list{.event = stage.event, .ops = {}};
    for (EventIndex op = 0; op < stage.event; ++op)
      if (stage.run[op] != kNone && solution[stage.run[op]] > 0.5) list.ops.push_back(op);
    if (!list.ops.empty()) schedule.push_back(std::move(list));
  }
  prune(problem_, schedule);
  return schedule;
}

std::optional<Plan> ExactModel::plan_of(std::span<const double> solution, Bytes budget,
                                        Nanoseconds proven_ns) const {
  const auto candidate = judge(problem_, schedule_of(solution));
  if (!candidate || candidate->simulation.peak_bytes > budget) return std::nullopt;
  Plan plan = make_plan(problem_, candidate->actions, "exact", budget);
  plan.floor_bytes = memory_floor(problem_).bytes;
  plan.lower_bound_ns = lower_bound(problem_, budget);
  if (is_complete_)
    plan.lower_bound_ns = std::max(plan.lower_bound_ns, std::min(proven_ns, plan.recompute_ns));
  return plan;
}

}  // namespace tidemark
