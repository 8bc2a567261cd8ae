// EvictedNeighbourhood: what stands beside a value among those given up, by union-find.
//
// DTR's e~* (online_planner.h): evicted values that touch each other form a class whose cost is the
// sum of theirs. A value that comes back leaves its class's cost; classes are never split, so a
// class may be larger than what really hangs together ("splitting approximation", section 4.1).
//
// Part of the online planners; not installed as interface.
#pragma once

#include <numeric>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

class TIDEMARK_API EvictedNeighbourhood {
 public:
  explicit EvictedNeighbourhood(const Problem& problem)
      : problem_(problem),
        parent_(problem.graph().values.size()),
        cost_(parent_.size(), 0),
        is_evicted_(parent_.size(), 0) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }

  bool is_evicted(ValueIndex v) const { return is_evicted_[v] != 0; }
  void evict(ValueIndex v);
  void bring_back(ValueIndex v);

  // Returns the cost of the classes beside `v`, each once.
  Nanoseconds cost_beside(ValueIndex v);

 private:
  ValueIndex root_of(ValueIndex v);
  void join(ValueIndex a, ValueIndex b);
  template <typename Visit>
  void visit_neighbours(ValueIndex v, Visit visit) const;
  Nanoseconds own_cost(ValueIndex v) const;

  const Problem& problem_;
  std::vector<ValueIndex> parent_;
  std::vector<Nanoseconds> cost_;  // of a class, at its root
  std::vector<char> is_evicted_;
  std::vector<ValueIndex> roots_;  // scratch
};

}  // namespace tidemark
