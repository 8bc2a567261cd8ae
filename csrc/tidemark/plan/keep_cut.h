// KeepCut: what to hold at one moment of a step, as a minimum cut.
//
// At a moment t every value that is wanted later either lies in memory or is computed again
// afterwards, together with whatever that needs and is not in memory. With a price per byte held,
// the cheapest such choice is a minimum cut: value -> its op costs price * bytes (hold it), op ->
// sink costs the op's time (run it again; shared by all its outputs and readers), op -> what it
// reads is infinite. The cuts of all prices give two things:
//
//   a bound: max over prices of cut(price) - price * room. No plan within the budget recomputes
//   less: what it holds at t is one of the choices, and bytes beyond the room are not there.
//   a keep set: what is good to hold at t, for planners to follow.
//
// Values that the program holds at t are there whatever a plan says, and cost nothing here.
#pragma once

#include <limits>
#include <span>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/moment.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

// Whether an op runs again after the moment, decided before the choice is made.
struct RunAgain {
  EventIndex op = kNone;
  bool is_run = false;
};

// One choice of what to hold.
struct Cut {
  Bytes kept_bytes = 0;
  Nanoseconds recompute_ns = 0;
  std::vector<ValueIndex> kept;  // ascending
};

class TIDEMARK_API KeepCut {
 public:
  static constexpr EventIndex kEver = std::numeric_limits<EventIndex>::max();

  // Looks at the moment inside `event`, for what is wanted up to `until`, another such event; to
  // run one of `free_ops` again costs nothing. The problem must outlive this.
  // REQUIRES: `event` is an op or a host event (at an unpack values come back in the middle).
  KeepCut(const Problem& problem, EventIndex event, const std::vector<EventIndex>& free_ops = {},
          EventIndex until = kEver);

  // Returns the best choice at a price in nanoseconds per byte, with some ops' fate decided.
  Cut at_price(double ns_per_byte, std::span<const RunAgain> decided = {}) const;

  // Returns by how much the cost of a choice of at_price may exceed the least, rounded down.
  double rounding_at(double ns_per_byte) const;

  // A price at which nothing is held that can be computed again.
  double highest_price() const { return all_ns_ + 1; }

  // Values and ops to choose among.
  std::size_t size() const { return values_.size() + ops_.size(); }

  // Returns the best choice found that holds at most `room` bytes besides what the program itself
  // holds, or the one that holds least. Sets `bound` to what no choice within the room can beat.
  // Choices are remembered: all rooms together cost little more than a few.
  const Cut& within(Bytes room, Nanoseconds& bound);

  // Returns what to hold within `room`, from two neighbouring best choices: late values as in the
  // one that holds more than the room, early ones, for which there is more room when they come
  // back, as in the other. Of many alike blocks no price tells one from another: best choices hold
  // something of all or of none.
  std::vector<ValueIndex> mixed(Bytes room);

 private:
  std::size_t corner_before(Bytes room);
  double scale_at(double ns_per_byte) const;
  void add_value(ValueIndex v);
  void add_op(EventIndex op);

  // A choice that is the best at some price, and what is known of the way to the next that holds
  // less: with the price at which both cost the same, nothing is cheaper than `least` in all.
  struct Corner {
    Cut cut;
    bool is_next_proven = false;
    double price = 0;
    double least = 0;
  };
  bool prove(std::size_t corner);

  const Problem& problem_;
  const StepGraph& graph_;
  Moment moment_;
  std::vector<ValueIndex> wanted_;  // needed after the moment
  std::vector<ValueIndex> values_;  // that may be held, and the ops that make them
  std::vector<EventIndex> ops_;
  std::vector<Nanoseconds> costs_;  // per event
  std::vector<int> node_of_value_;
  std::vector<int> node_of_op_;
  double all_ns_ = 0;            // of all ops_
  double all_bytes_ = 0;         // of all values_
  std::vector<Corner> corners_;  // by falling bytes; empty until first asked
};

}  // namespace tidemark
