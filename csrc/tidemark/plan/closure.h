// Closure: what must run again at one event for the results of some ops to be there.
//
// What an op reads is there at the event, can stay in memory until then within a budget, or is
// computed again with it, which asks the same of its own op. Part of repair.h.
#pragma once

#include <limits>
#include <span>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/residency.h"

namespace tidemark {

class TIDEMARK_API Closure {
 public:
  static constexpr double kNoLimit = std::numeric_limits<double>::infinity();

  // The residency must outlive this.
  explicit Closure(Residency& residency);

  // Looks for what must run at `at` so that `ops` can, those already listed there left out. Returns
  // false where something cannot be had, or where all together cost more than `most_cost`.
  bool find(std::span<const EventIndex> ops, EventIndex at, Bytes budget, double most_cost);
  bool find(EventIndex op, EventIndex at, Bytes budget, double most_cost) {
    return find(std::span(&op, 1), at, budget, most_cost);
  }

  // What was found last.
  const std::vector<EventIndex>& ops() const noexcept { return ops_; }
  Nanoseconds cost_ns() const noexcept { return cost_ns_; }
  // Whether it failed for its cost.
  bool is_too_dear() const noexcept { return is_too_dear_; }

 private:
  bool add_reads(EventIndex op, EventIndex at, Bytes budget);
  bool can_stay_within(ValueIndex v, EventIndex at, Bytes budget) const;

  Residency& residency_;
  const StepGraph& graph_;
  std::vector<EventIndex> ops_;
  Nanoseconds cost_ns_ = 0;
  bool is_too_dear_ = false;
  std::vector<int> visited_;  // per op: the search that met it
  int visit_ = 0;
};

}  // namespace tidemark
