// Problem: the facts about a graph that every planner asks for again and again.
//
// Which gaps may be dropped, what a replay of an op reads and restores, what can still be read at a
// later event, and what is live whatever a plan decides. Made once per graph; holds a reference to
// the graph, which must outlive it. Immutable, so that planners may share it.
#pragma once

#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/graph/graph.h"
#include "tidemark/graph/lifetime.h"
#include "tidemark/plan/simulate.h"

namespace tidemark {

class TIDEMARK_API Problem {
 public:
  explicit Problem(const StepGraph& graph);

  const StepGraph& graph() const noexcept { return *graph_; }

  // The curve with every gap kept.
  const Simulation& unplanned() const noexcept { return unplanned_; }

  // What is live when all of gaps() are dropped: dropped_curve of floor.h.
  const std::vector<Reading>& dropped() const noexcept { return dropped_; }

  // The gaps that may be dropped: all of gaps(graph) whose value can be computed again at their
  // end. Sorted by value, then by time; those of `v` are [first_gap(v), first_gap(v + 1)).
  const std::vector<Gap>& gaps() const noexcept { return gaps_; }
  int first_gap(ValueIndex v) const { return first_gap_[v]; }

  // The gaps that some plan may drop: those of gaps(), and those whose value can be computed again
  // inside the gap, beside another one that is, but no more at its end. No planner looks for the
  // latter; what is proven of all plans must reckon with them. Sorted as gaps().
  const std::vector<Gap>& restorable_gaps() const noexcept { return restorable_gaps_; }
  int first_restorable_gap(ValueIndex v) const { return first_restorable_gap_[v]; }

  // What a replay of op `e` needs to find, and what it brings back. A batch norm's running
  // statistics are in neither.
  const std::vector<ValueIndex>& reads(EventIndex e) const { return reads_[e]; }
  const std::vector<ValueIndex>& restores(EventIndex e) const { return restores_[e]; }

  // The replayable ops that read `v`.
  const std::vector<EventIndex>& readers(ValueIndex v) const { return readers_[v]; }

  // Returns whether the plan may say `replay e`.
  bool is_replayable(EventIndex e) const { return replayable_[e]; }

  // Returns whether `v` can be made to stay readable, as first made, up to event `u`.
  bool can_stay_until(ValueIndex v, EventIndex u) const;

  // Returns whether a replay at `u` finds `v` though no plan restores it: it lies there anyway, or
  // is a source that can stay.
  bool is_there(ValueIndex v, EventIndex u) const;

  // Returns whether `v` can be computed again at `u`, from values that can stay until then.
  bool can_replay_at(ValueIndex v, EventIndex u) const;

  // Returns the last event before `e` at which the runtime can act, or kNone.
  EventIndex last_action_before(EventIndex e) const { return last_action_[e]; }

  // Returns where a plan says `keep v` for the value as first made, or kNone if it cannot. Sources
  // of graphs from elsewhere can be kept, too: where their last use ends they would be gone.
  EventIndex keep_event(ValueIndex v) const { return keep_event_[v]; }

  // Returns the event at whose start `v` is gone if a plan says nothing about it.
  EventIndex natural_end(ValueIndex v) const { return natural_end_[v]; }

  // Returns the end of `hold`, later by one if the op there writes over the value or frees it.
  EventIndex end_of(ValueIndex v, const Interval& hold) const;

 private:
  void find_ops();
  void find_values();
  std::vector<EventIndex> find_first_forward_uses() const;
  void find_gaps();
  bool is_droppable(const Gap& gap) const;
  std::vector<int> first_of_each(const std::vector<Gap>& gaps) const;

  const StepGraph* graph_;
  Simulation unplanned_;
  std::vector<Reading> dropped_;
  std::vector<Gap> gaps_;
  std::vector<int> first_gap_;
  std::vector<Gap> restorable_gaps_;
  std::vector<int> first_restorable_gap_;
  std::vector<std::vector<ValueIndex>> reads_;
  std::vector<std::vector<ValueIndex>> restores_;
  std::vector<std::vector<EventIndex>> readers_;
  std::vector<char> replayable_;
  std::vector<EventIndex> last_action_;
  std::vector<EventIndex> next_action_;
  std::vector<EventIndex> keep_event_;
  std::vector<EventIndex> natural_end_;
  std::vector<EventIndex> freed_at_;
};

}  // namespace tidemark
