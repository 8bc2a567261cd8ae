// Repair: makes a schedule fit a budget by cutting stretches, and gives back what it need not cost.
//
// A cut says of a value that lies in memory from one use to the next: let it go, and compute it
// again just before the next use, together with whatever that needs and is neither there nor fits
// if it stays. fit() cuts greedily at the highest point of the curve until the budget holds;
// clean_up() takes replays away that have become unnecessary. Together they make a planner of their
// own, turn a plan for more memory into one for less, and mend what ruin.h breaks.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/closure.h"
#include "tidemark/plan/list_mover.h"
#include "tidemark/plan/residency.h"

namespace tidemark {

struct RepairOptions {
  Bytes budget = 0;
  // Give up where the schedule costs more than this.
  Nanoseconds most_cost_ns = std::numeric_limits<Nanoseconds>::max();
  // Give up after so many steps of Residency::work().
  std::int64_t most_work = std::numeric_limits<std::int64_t>::max();
  // Clean up after so many cuts as well as at the end; 0: only at the end. Good near the floor.
  int cuts_per_clean_up = 0;
  // Scores are multiplied by exp of a number within +-noise.
  double noise = 0;
  // The part of all candidates, picked at random, that no cut is made of.
  double left_out = 0;
  std::uint32_t seed = 0;
};

class TIDEMARK_API Repair {
 public:
  // The residency must outlive this. Everything but cut() ends early once `stop` says so: fit() as
  // one that does not fit, clean_up() with what is left.
  explicit Repair(Residency& residency, std::function<bool()> stop = {});

  // Values in `kept` are cut only where nothing else is cheaper by far.
  void favour(const std::vector<ValueIndex>& kept);
  // Values that fit() does not cut for now.
  void forbid(ValueIndex v, bool is_forbidden) { is_forbidden_[v] = is_forbidden; }

  // Cuts until the peak is within the budget. Returns whether it is; if not, the schedule is left
  // as far as it came.
  bool fit(const RepairOptions& options);

  // Lets go of the copy of `v` that lies at `point` until its next use. Returns false, having
  // changed nothing, if it cannot be computed again there.
  bool cut(ValueIndex v, int point, Bytes budget);

  // Removes replays, dearest first, as long as what stays instead fits the budget and the schedule
  // costs no less than `least_cost_ns`. Ends after `most_work` steps of Residency::work().
  void clean_up(Bytes budget, Nanoseconds least_cost_ns = 0,
                std::int64_t most_work = std::numeric_limits<std::int64_t>::max());
  // The same for these replays only.
  void clean_up(Bytes budget, Nanoseconds least_cost_ns, std::vector<Rerun> reruns,
                std::int64_t most_work = std::numeric_limits<std::int64_t>::max());

 private:
  struct Place {
    int begin = 0;            // point after the last use or the making before
    EventIndex next = kNone;  // next use
  };
  struct Instead {
    Stretch points;
    Bytes least_bytes = 0;  // of one value that would have to stay
  };
  struct Choice {
    ValueIndex value = kNone;
    EventIndex at = kNone;
    double score = 0;
  };
  bool is_stopped() const { return stop_ && stop_(); }
  Place place_of(ValueIndex v, int point) const;
  double benefit(ValueIndex v, const Place& place, int point, Bytes budget) const;
  bool find_closure_instead_of(ValueIndex v, EventIndex at, Bytes budget, double most_cost);
  Place place_at(ValueIndex v, int point) const;
  double random();
  Choice best_cut(int point, const RepairOptions& options);
  void apply(const Choice& choice, Bytes budget);
  void share(EventIndex at, Bytes budget);
  bool move_list(int point, Bytes most, std::int64_t most_work);
  Instead instead_of(Rerun rerun) const;
  bool is_used_besides(ValueIndex v, Rerun rerun) const;
  Bytes most_released(Rerun rerun, int depth) const;
  bool remove_if_fits(Rerun rerun, Bytes budget, Nanoseconds least_cost_ns);

  Residency& residency_;
  std::function<bool()> stop_;
  const StepGraph& graph_;
  std::vector<ValueIndex> cuttable_;
  std::vector<char> is_favoured_;
  std::vector<char> is_forbidden_;
  std::vector<char> is_futile_;  // a cut of it was tried at the present peak and did not help
  std::vector<ValueIndex> futile_;
  std::mt19937 random_;
  Closure closure_;
  ListMover mover_;
  std::vector<RangeTree::Number> block_peaks_;
  int points_per_block_ = 1;
};

}  // namespace tidemark
