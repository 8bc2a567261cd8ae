// Residency: what lies in memory when under a schedule, kept up to date replay by replay.
//
// The incremental form of simulate(emit(schedule)): adding or taking away a replay costs
// O(values touched * log events) instead of a simulation, and can be undone. It knows only what
// search needs, the curve and the cost; every plan that leaves the planner has been simulated.
//
// HOW. A value lies in memory from its making, or from a replay that restores it, to its last use
// before the next (emit.h). What the program holds is there whatever a schedule says, so only the
// rest is counted, as stretches of points on a tree with range-add and global maximum. An event has
// two points: 2e, its list of replays, and 2e + 1, the event proper. Inside a list, the bytes on
// top of what lies there before and after it are worked out anew whenever the list changes.
//
// REQUIRES everywhere: replays are listed at events where values are served (unpack events; ops, in
// graphs from elsewhere).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/range_tree.h"
#include "tidemark/plan/wants.h"

namespace tidemark {

// A half-open stretch of points.
struct Stretch {
  int begin = 0;
  int end = 0;
  bool operator==(const Stretch&) const = default;
};

// A replay of an op in the list of an event.
struct Rerun {
  EventIndex at = 0;
  EventIndex op = 0;
  bool operator==(const Rerun&) const = default;
};

// What no schedule changes: when the program holds what, what an op reads and restores.
struct TIDEMARK_API ResidencyFacts {
  explicit ResidencyFacts(const Problem& problem);

  // What a replay needs on top for a moment, having written `over_bytes` of its outputs over
  // inputs.
  Bytes burst_bytes(EventIndex op, Bytes over_bytes) const {
    return std::max<Bytes>(0, made_bytes[op] - over_bytes - freed_bytes[op]) +
           problem.graph().events[op].workspace_bytes;
  }

  const Problem& problem;
  std::vector<std::vector<Stretch>>
      held;  // per value: ascending, gaps that may not be dropped filled
  std::vector<std::vector<EventIndex>>
      serves;                                // per value: events that end a gap of problem.gaps()
  std::vector<char> is_managed;              // made by the step
  std::vector<char> can_outlast;             // a source that can stay past its last use
  std::vector<Bytes> made_bytes;             // per op: new blocks of a replay
  std::vector<Bytes> freed_bytes;            // per op: what it releases itself
  std::vector<std::vector<InPlace>> writes;  // per op: those that a replay repeats
  std::vector<RangeTree::Number> curve;      // per point: with every gap dropped
};

class TIDEMARK_API Residency {
 public:
  // Everything kept. The facts must outlive this.
  explicit Residency(const ResidencyFacts& facts);

  // Replaces the schedule.
  void load(const Schedule& schedule);
  Schedule schedule() const;

  Bytes peak_bytes() const noexcept { return tree_.most(); }
  int peak_point() const noexcept { return tree_.first_of_most(); }
  Nanoseconds cost_ns() const noexcept { return cost_ns_; }
  std::int64_t num_replays() const noexcept { return num_replays_; }
  const RangeTree& tree() const noexcept { return tree_; }
  const ResidencyFacts& facts() const noexcept { return facts_; }
  const Problem& problem() const noexcept { return facts_.problem; }

  // Whether `v` lies in memory at `point`, beyond the program's holds.
  bool covers(ValueIndex v, int point) const {
    return spans_[v].begin <= point && point < spans_[v].end && is_covered(v, point);
  }
  // Whether it may do so within a point of `point`; quick.
  bool is_near(ValueIndex v, int point) const {
    return spans_[v].begin <= point + 1 && point <= spans_[v].end;
  }
  // The lists that hold `op`, ascending.
  const std::vector<EventIndex>& runs(EventIndex op) const { return runs_[op]; }
  // The replays at an event, ascending.
  const std::vector<EventIndex>& list(EventIndex at) const { return lists_[at]; }
  bool is_listed(EventIndex at, EventIndex op) const;

  // Returns whether a replay listed at `at` finds `v`, without restoring it.
  bool is_there(ValueIndex v, EventIndex at) const;
  // Returns whether `v` can be made to stay from its last making before `at` until then.
  bool can_stay(ValueIndex v, EventIndex at) const;
  // Returns the point from which `v` would have to stay for that.
  int last_point_before(ValueIndex v, EventIndex at) const;

  // Returns the last event that uses the copy of `v` that a listed replay makes, or kNone.
  EventIndex last_use_of(Rerun rerun, ValueIndex v) const;

  // Adds replays of `ops`, none of them listed there yet, to the list of `at`. What they read and
  // do not restore themselves stays until then.
  // REQUIRES: the ops are replayable and what they read is there, can stay or is restored by them.
  void add(EventIndex at, std::span<const EventIndex> ops);

  // Takes a replay away, and those that were there only for its sake. Returns false, having changed
  // nothing, if something it restores could not stay instead.
  bool remove(Rerun rerun);

  // Goes back to where log_size() was `size`.
  std::size_t log_size() const noexcept { return log_.size(); }
  void undo_to(std::size_t size);
  // Returns the events between which what lies in memory has changed since then, none if it has
  // not.
  Interval changed_since(std::size_t size) const;
  // Forgets how to go back.
  void clear_log() { log_.clear(); }

  // Elementary steps so far: the measure of work that limits searches.
  std::int64_t work() const noexcept { return work_; }
  // Counts work done by others on it.
  void add_work(std::int64_t steps) noexcept { work_ += steps; }

 private:
  struct Change {
    Rerun rerun;
    bool is_added;
  };
  void change(const Change& change);
  void settle();
  void find_stretches(ValueIndex v, std::vector<Stretch>& out);
  void cover(ValueIndex v, Stretch stretch, std::vector<Stretch>& out) const;
  EventIndex last_use(ValueIndex v, EventIndex from, EventIndex until, bool is_restored) const;
  void touch_value(ValueIndex v);
  void touch_list(EventIndex at);
  void update_value(ValueIndex v);
  void update_list(EventIndex at);
  Bytes list_bytes(EventIndex at);
  const std::vector<EventIndex>& runs_of(ValueIndex v) const;
  bool is_held(ValueIndex v, EventIndex at) const;
  bool is_covered(ValueIndex v, int point) const;
  bool is_served(ValueIndex v, EventIndex at) const;
  bool can_stay(ValueIndex v, EventIndex from, EventIndex until) const;
  bool can_be_without(Rerun rerun) const;
  bool is_used(Rerun rerun) const;
  void remove_unused(EventIndex at, EventIndex op);

  const ResidencyFacts& facts_;
  const StepGraph& graph_;
  RangeTree tree_;
  std::vector<std::vector<EventIndex>> runs_;   // per op
  std::vector<std::vector<EventIndex>> lists_;  // per event
  std::vector<std::vector<Stretch>> stretches_;
  std::vector<Stretch> spans_;  // per value: from its first stretch to its last
  std::vector<Bytes> list_bytes_;
  Nanoseconds cost_ns_ = 0;
  std::int64_t num_replays_ = 0;
  mutable std::int64_t work_ = 0;
  std::vector<Change> log_;
  // Work in progress.
  std::vector<ValueIndex> touched_values_;
  std::vector<EventIndex> touched_lists_;
  std::vector<char> is_value_touched_;
  std::vector<char> is_list_touched_;
  std::vector<Stretch> scratch_;
  struct Temporary {
    int reads_left = 0;
    bool is_there = false;
    bool is_wanted = false;
  };
  std::vector<Temporary> temporaries_;  // per value, clean between lists
};

}  // namespace tidemark
