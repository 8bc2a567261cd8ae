// The cheapest of all plans of a small step, by trying them all.
//
// A walk over the events; a state is the set of values that lie in memory by the plan's will, each
// as first made or as restored. Wherever the runtime can act every set of ops may be replayed,
// every result kept and every value dropped. Nothing here is shared with the planners but Problem's
// facts.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "tidemark/plan/problem.h"

namespace tidemark::testing {

class Oracle {
 public:
  // Steps with more values that a plan may hold, or more replayable ops, are too large.
  static constexpr int kMostValues = 14;
  static constexpr int kMostOps = 9;

  explicit Oracle(const Problem& problem) : problem_(problem), graph_(problem.graph()) {
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
      index_.push_back(-1);
      // A source that a plan may keep past its last use.
      const bool can_outlast = problem.keep_event(v) != kNone && !problem.readers(v).empty() &&
                               problem.natural_end(v) < graph_.num_events();
      if (graph_.values[v].producer == kNone && !can_outlast) continue;
      const bool has_gap = problem.first_gap(v) < problem.first_gap(v + 1);
      if (!has_gap && problem.readers(v).empty()) continue;
      index_.back() = static_cast<int>(values_.size());
      values_.push_back(v);
    }
    for (EventIndex e = 0; e < graph_.num_events(); ++e)
      if (problem.is_replayable(e)) ops_.push_back(e);
  }

  bool is_small() const {
    return static_cast<int>(values_.size()) <= kMostValues &&
           static_cast<int>(ops_.size()) <= kMostOps;
  }

  // Returns the least time that a plan within `budget` computes again, or nothing without a plan.
  std::optional<Nanoseconds> least_recompute(Bytes budget) {
    budget_ = budget;
    layer_ = {{State{}, 0}};
    for (EventIndex e = 0; e < graph_.num_events() && !layer_.empty(); ++e) {
      end_holds(e);
      const bool is_unpack = graph_.events[e].kind == EventKind::kUnpack;
      const bool acts_first =
          is_unpack || (!graph_.has_runtime_actions && graph_.events[e].kind == EventKind::kOp);
      if (acts_first) run_lists(e);
      if (acts_first) drop_some();
      std::erase_if(layer_, [&](const auto& entry) {
        return problem_.dropped()[e].peak + bytes(entry.first.there) > budget_;
      });
      if (!acts_first && is_actionable(graph_, e)) drop_some();
    }
    std::optional<Nanoseconds> least;
    for (const auto& [state, cost] : layer_)
      if (!least || cost < *least) least = cost;
    return least;
  }

 private:
  using Set = std::uint32_t;  // of values_
  struct State {
    Set there = 0;
    Set restored = 0;  // part of it
    auto operator<=>(const State&) const = default;
  };
  using Layer = std::map<State, Nanoseconds>;

  static void relax(Layer& layer, State state, Nanoseconds cost) {
    const auto [place, is_new] = layer.try_emplace(state, cost);
    if (!is_new) place->second = std::min(place->second, cost);
  }
  Bytes bytes(Set set) const {
    Bytes sum = 0;
    for (; set != 0; set &= set - 1) sum += graph_.values[values_[std::countr_zero(set)]].bytes;
    return sum;
  }
  Set bit(ValueIndex v) const { return index_[v] < 0 ? 0 : Set{1} << index_[v]; }

  // The holds with the gaps filled that no plan drops; the end of the last as dropped() has it.
  std::vector<Interval> holds(ValueIndex v) const {
    const Value& value = graph_.values[v];
    if (problem_.first_gap(v) == problem_.first_gap(v + 1))
      return {{value.producer, problem_.natural_end(v)}};
    std::vector<Interval> merged{value.holds.front()};
    for (std::size_t i = 1; i < value.holds.size(); ++i) {
      const Gap gap{v, {value.holds[i - 1].end, value.holds[i].begin}};
      if (std::ranges::find(problem_.gaps(), gap) == problem_.gaps().end())
        merged.back().end = value.holds[i].end;
      else
        merged.push_back(value.holds[i]);
    }
    return merged;
  }
  bool is_held(ValueIndex v, EventIndex e) const {
    const EventIndex written = graph_.values[v].overwritten_at;
    if (written != kNone && written <= e) return false;
    return std::ranges::any_of(holds(v),
                               [e](const Interval& h) { return h.begin < e && e < h.end; });
  }
  bool is_served(ValueIndex v, EventIndex e) const {
    const auto merged = holds(v);
    return std::any_of(merged.begin() + 1, merged.end(),
                       [e](const Interval& hold) { return hold.begin == e; });
  }
  bool is_readable(ValueIndex v, EventIndex e, Set there) const {
    const bool is_fixed = graph_.values[v].producer == kNone && index_[v] < 0;
    if (is_fixed) return problem_.can_stay_until(v, e);
    return is_held(v, e) || (there & bit(v)) != 0;
  }

  // Where a hold ends the value stays if the plan wants it to; where its last handle goes, or its
  // block is written, it cannot.
  void end_holds(EventIndex e) {
    for (ValueIndex v : values_) {
      const auto merged = holds(v);
      const Value& value = graph_.values[v];
      Layer next;
      for (const auto& [state, cost] : layer_) {
        State left = state;
        const bool is_restored = (state.restored & bit(v)) != 0;
        const bool has_gone = value.handles.empty() ? !is_restored && !problem_.can_stay_until(v, e)
                                                    : problem_.natural_end(v) <= e;
        if (has_gone) left.there &= ~bit(v), left.restored &= ~bit(v);
        relax(next, left, cost);
        const bool ends = std::ranges::any_of(merged, [e](auto& hold) { return hold.end == e; });
        if (!ends || has_gone || (left.there & bit(v)) != 0) continue;
        if (value.producer < e && problem_.can_stay_until(v, e)) {
          left.there |= bit(v);
          relax(next, left, cost);
        }
      }
      layer_ = std::move(next);
    }
  }

  void run_lists(EventIndex e) {
    Layer next;
    for (const auto& [state, cost] : layer_)
      for (Set ops = 0; ops < Set{1} << ops_.size(); ++ops) run_list(e, state, cost, ops, next);
    layer_ = std::move(next);
  }

  void run_list(EventIndex e, State state, Nanoseconds cost, Set ops, Layer& next) const {
    Set made = 0;
    for (Set rest = ops; rest != 0; rest &= rest - 1) {
      const EventIndex op = ops_[std::countr_zero(rest)];
      if (op >= e) return;
      for (ValueIndex v : problem_.reads(op))
        if (!is_readable(v, e, state.there | made)) return;
      for (ValueIndex v : problem_.restores(op))
        if (!is_held(v, e)) made |= bit(v) & ~state.there;
      cost += graph_.events[op].cost_ns;
    }
    Set served = 0;
    for (ValueIndex v : values_)
      if (is_served(v, e)) served |= bit(v);
    if ((served & ~(state.there | made)) != 0) return;
    // Handles that are gone keep nothing.
    Set keepable = made & ~served;
    for (ValueIndex v : values_)
      if (!graph_.values[v].handles.empty() && problem_.natural_end(v) <= e) keepable &= ~bit(v);
    for (Set kept = keepable;; kept = (kept - 1) & keepable) {
      const Bytes before = problem_.dropped()[e].before + bytes(state.there);
      if (before + most_of_list(e, state.there, ops, kept | (served & made)) <= budget_) {
        const Set there = (state.there | kept) & ~served;
        relax(next, {there, ((state.restored & ~served) | kept) & there}, cost);
      }
      if (kept == 0) return;
    }
  }

  // What the list adds to what lies there: plan.h's price of a replay.
  Bytes most_of_list(EventIndex e, Set there, Set ops, Set wanted) const {
    std::map<ValueIndex, int> reads_left;
    for (Set rest = ops; rest != 0; rest &= rest - 1)
      for (ValueIndex v : problem_.reads(ops_[std::countr_zero(rest)])) ++reads_left[v];
    Bytes live = 0;
    Bytes most = 0;
    Set temporary = 0;
    const auto is_spent = [&](ValueIndex v) {
      return (temporary & bit(v) & ~wanted) != 0 && reads_left[v] == 1;
    };
    for (Set rest = ops; rest != 0; rest &= rest - 1) {
      const EventIndex op = ops_[std::countr_zero(rest)];
      const Event& event = graph_.events[op];
      for (const InPlace& write : event.in_place) {
        if (std::ranges::find(problem_.reads(op), write.input) == problem_.reads(op).end())
          continue;
        if (is_spent(write.input))
          temporary &= ~bit(write.input);
        else
          live += graph_.values[write.input].bytes;
      }
      Bytes made = 0;
      for (ValueIndex v : event.outputs)
        if (std::ranges::find(event.in_place, v, &InPlace::output) == event.in_place.end())
          made += graph_.values[v].bytes;
      for (const InPlace& write : event.replays_in_place)
        if (is_spent(write.input)) {
          temporary &= ~bit(write.input);
          made -= graph_.values[write.output].bytes;
        }
      Bytes freed = 0;
      for (ValueIndex v : event.frees) freed += graph_.values[v].bytes;
      most = std::max(most, live + std::max<Bytes>(0, made - freed) + event.workspace_bytes);
      live += made;
      for (ValueIndex v : problem_.restores(op)) {
        const bool is_used = (wanted & bit(v)) != 0 || reads_left[v] > 0;
        const bool is_new = ((temporary | there) & bit(v)) == 0 && !is_held(v, e);
        if (is_used && is_new)
          temporary |= bit(v);
        else
          live -= graph_.values[v].bytes;
      }
      for (ValueIndex v : problem_.reads(op)) {
        if (--reads_left[v] > 0 || (temporary & bit(v) & ~wanted) == 0) continue;
        temporary &= ~bit(v);
        live -= graph_.values[v].bytes;
      }
    }
    return std::max(most, live);
  }

  void drop_some() {
    Layer next;
    for (const auto& [state, cost] : layer_)
      for (Set kept = state.there;; kept = (kept - 1) & state.there) {
        relax(next, {kept, state.restored & kept}, cost);
        if (kept == 0) break;
      }
    layer_ = std::move(next);
  }

  const Problem& problem_;
  const StepGraph& graph_;
  std::vector<ValueIndex> values_;
  std::vector<int> index_;  // per value, -1 outside values_
  std::vector<EventIndex> ops_;
  Bytes budget_ = 0;
  Layer layer_;
};

}  // namespace tidemark::testing
