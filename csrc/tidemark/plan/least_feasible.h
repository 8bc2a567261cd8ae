// LeastFeasible: the plan of the least peak that the core finds, whatever the ops cost.
//
// Where memory is all that counts, costs only say which of many plans is met first; measured ones
// change with every recording, and with them would the least budget. This search sees one cost for
// all ops: two recordings of the same step have the same least budget, and the plan of one runs
// the other.
#pragma once

#include <optional>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/core_search.h"

namespace tidemark {

class TIDEMARK_API LeastFeasible {
 public:
  // The problem must outlive this.
  LeastFeasible(const Problem& problem, Bytes floor, CoreOptions options);
  LeastFeasible(const LeastFeasible&) = delete;
  LeastFeasible& operator=(const LeastFeasible&) = delete;

  // Returns the plan, with the problem's own costs. Searched for when first asked for.
  const Found& plan();

  // Returns the plans found on the way to it, with the problem's own costs, most memory first.
  // Empty until plan() was asked for.
  const std::vector<Found>& on_the_way() const noexcept { return on_the_way_; }

 private:
  Found search();
  // The problem's own costs instead of one for all ops.
  Found with_own_costs(Found found) const;

  const Problem& problem_;
  Bytes floor_;
  CoreOptions options_;
  std::optional<Found> found_;
  std::vector<Found> on_the_way_;
};

}  // namespace tidemark
