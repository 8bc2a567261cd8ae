// Wants: what each value is still good for while a planner walks through a step.
//
// A value is wanted where the program takes it up again, and where a missing value is computed from
// it; having it again costs its op and all that is missing before it. Both change whenever a value
// comes or goes. Answers are kept until then, and one change asks anew only what depends on it
// through missing values, so that a walk can afford to ask for every value at every event.
//
// Part of the look-ahead planner; not installed as interface.
#pragma once

#include <limits>
#include <span>
#include <vector>

#include "tidemark/graph/graph.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

inline constexpr EventIndex kNever = std::numeric_limits<EventIndex>::max();

// Lists in one array: row `i` is rows[i].
template <typename T>
class Rows {
 public:
  explicit Rows(const std::vector<std::vector<T>>& lists) {
    for (const std::vector<T>& list : lists) {
      begin_.push_back(items_.size());
      items_.insert(items_.end(), list.begin(), list.end());
    }
    begin_.push_back(items_.size());
  }
  std::span<const T> operator[](std::size_t row) const {
    return {items_.data() + begin_[row], begin_[row + 1] - begin_[row]};
  }

 private:
  std::vector<std::size_t> begin_;
  std::vector<T> items_;
};

// Which value is computed from which, among those that the program makes and holds.
struct Relatives {
  explicit Relatives(const Problem& problem);
  std::vector<char> is_managed;
  Rows<ValueIndex> parents;   // read by the value's op
  Rows<ValueIndex> children;  // restored by the replayable ops that read the value
};

class Wants {
 public:
  // Nothing is missing and nothing is wanted at first. Both must outlive this.
  Wants(const Problem& problem, const Relatives& relatives);

  bool is_missing(ValueIndex v) const { return is_missing_[v] != 0; }
  void set_missing(ValueIndex v, bool is_missing);

  // The first event at which the program itself takes `v` up again, or kNever.
  void set_own_want(ValueIndex v, EventIndex event);

  // Returns the first event that wants `v`, or kNever.
  EventIndex next(ValueIndex v);

  // Returns the nanoseconds to have `v` again if it were missing. Of a long chain only the nearest
  // ops count: it is dear enough to be told from others by them.
  double cost_ns(ValueIndex v);

  // Makes take_changed() return `v`.
  void mark_changed(ValueIndex v);

  // Returns the values whose next() or cost_ns() may be new since the last call.
  std::vector<ValueIndex> take_changed();

 private:
  void propagate();
  void propagate_up(ValueIndex v);
  void propagate_down();
  EventIndex find_next(ValueIndex v);

  const StepGraph& graph_;
  const Relatives& relatives_;
  std::vector<char> is_missing_;
  std::vector<EventIndex> own_want_;
  std::vector<EventIndex> next_;
  std::vector<char> is_next_known_;
  std::vector<ValueIndex> flipped_;  // came or went since the last propagation
  std::vector<ValueIndex> changed_;
  std::vector<char> is_changed_;
  std::vector<ValueIndex> stack_;
  std::vector<ValueIndex> next_stack_;
  int visit_ = 0;
  std::vector<int> visited_;      // values going down
  std::vector<int> visited_ops_;  // in a chain
};

}  // namespace tidemark
