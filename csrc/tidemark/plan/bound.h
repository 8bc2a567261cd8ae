// A lower bound on recomputation: what no plan within a budget can do without.
//
// Three bounds, of which the highest counts. At any one event the values that a plan has let go
// must make up what the step is over the budget there, and each of them is computed again later, at
// no less than its share of its op's cost: the cheapest fractional choice at the worst event. And
// at a few events a minimum cut that also charges the dropped ancestors of what is dropped
// (keep_cut.h): at some of the highest, and at those where the first bound is highest for the
// budget, which near the floor are others. Neither sees that one value may have to be computed
// again twice; the third does: where memory is scarce along a path of ops, the best schedule of
// that path (path_bound.h), and the cut at the best of these moments over all other ops. All of
// them charge parts of values; where single values are large, that cut with whole ones proves more
// (branched_cut.h).
#pragma once

#include <map>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/keep_cut.h"
#include "tidemark/plan/path_bound.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

// The bounds of one step for any budget. The problem must outlive it.
class TIDEMARK_API LowerBound {
 public:
  explicit LowerBound(const Problem& problem);

  // Returns the bound, 0 if the step fits as it is. A budget below what any choice of dropped
  // values reaches at some event gives the largest Nanoseconds: no plan exists.
  Nanoseconds at(Bytes budget);

  // Returns the bound of the minimum cut at the highest moment alone: nearly as high and quick.
  Nanoseconds at_peak(Bytes budget);

  // Returns the bound of the highest minimum cut with whole values: branched_cut.h. It stops at
  // `enough`, and where its work is done.
  Nanoseconds branched(Bytes budget, Nanoseconds enough);

  // Returns what is good to hold at one of the high moments, 0 the highest, in `share` of the room
  // there: KeepCut::mixed. Empty if there are not so many moments.
  std::vector<ValueIndex> keep_set(Bytes budget, double share, std::size_t moment = 0);

 private:
  // A gap with its price; at most absent at events in [begin, end].
  struct Candidate {
    double ns_per_byte;
    Bytes bytes;
    EventIndex begin;
    EventIndex end;
  };
  // What is known of one budget.
  struct Found {
    Nanoseconds bound = 0;
    EventIndex event = kNone;  // that of the highest minimum cut, if one was made
  };
  const Found& look_up(Bytes budget);
  Found find(Bytes budget);
  void find_candidates();
  void find_free_bytes();
  void find_moments();
  std::vector<EventIndex> well_apart(std::vector<EventIndex> events,
                                     const std::vector<double>& heights, std::size_t most) const;
  double cheapest_fill(EventIndex event, Bytes excess) const;
  Nanoseconds bound_of_cut(EventIndex event, Bytes budget);
  Nanoseconds with_paths(EventIndex event, Bytes budget, Nanoseconds without);

  const Problem& problem_;
  Bytes floor_bytes_;
  std::vector<Candidate> candidates_;  // by rising price
  // Bytes that a plan can be rid of for nothing: handles that outlive the program's last hold.
  std::vector<Bytes> free_;
  std::vector<Bytes> held_by_program_;  // per event
  std::vector<EventIndex> moments_;     // high events well apart, the highest first
  std::map<EventIndex, KeepCut> cuts_;  // made when first asked
  PathBound path_bound_;
  std::map<Bytes, Found> found_;  // by budget
};

// The bound for one budget.
TIDEMARK_API Nanoseconds lower_bound(const Problem& problem, Bytes budget);
TIDEMARK_API Nanoseconds lower_bound(const StepGraph& graph, Bytes budget);

}  // namespace tidemark
