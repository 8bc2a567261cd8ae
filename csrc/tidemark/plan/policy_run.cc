#include "tidemark/plan/policy_run.h"

#include <algorithm>
#include <utility>

namespace tidemark {
namespace {

// The halving for the least peak ends within this part of the range.
constexpr Bytes kParts = 512;

}  // namespace

std::optional<Found> PolicyRun::look(Bytes budget, Effort effort) {
  Search search(bench_, budget, effort, stop_);
  if (bench_.problem().unplanned().peak_bytes <= budget)
    search.offer(everything_kept(bench_.problem()), policy_);
  else
    tidemark::look(policy_, search);
  return search.best();
}

const Found* PolicyRun::best_within(Bytes budget) {
  best_ = look(budget, Effort::kFull);
  if (!best_ && least().peak_bytes() <= budget) best_ = least();
  return best_ ? &*best_ : nullptr;
}

const Found& PolicyRun::least() {
  if (least_) return *least_;
  const Bytes unplanned = bench_.problem().unplanned().peak_bytes;
  Bytes low = floor_;
  const Bytes resolution = std::max<Bytes>(1, (unplanned - low) / kParts);
  least_ = look(unplanned, Effort::kQuick);
  while (least_->peak_bytes() - low > resolution) {
    const Bytes high = least_->peak_bytes();
    const Bytes middle = low + (high - low) / 2;
    std::optional<Found> found = look(middle, Effort::kQuick);
    if (found && found->peak_bytes() < high)
      least_ = std::move(found);
    else
      low = middle;
  }
  return *least_;
}

}  // namespace tidemark
