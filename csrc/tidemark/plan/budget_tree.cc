#include "tidemark/plan/budget_tree.h"

#include <algorithm>
#include <utility>

namespace tidemark {
namespace {

// The range is divided into so many parts; where nothing fits below, into more: a few bytes may be
// one more value there.
constexpr Bytes kParts = 1024;
constexpr Bytes kPartsAtFloor = 4096;
// Neighbours whose costs differ by less than this part of the step's time are near enough.
constexpr Nanoseconds kNear = 10000;
// Steps with fewer events are divided down to single bytes.
constexpr int kSmall = 256;

}  // namespace

BudgetTree::BudgetTree(Workbench& bench, Bytes floor, CoreOptions options)
    : floor_(floor),
      range_(bench.problem().unplanned().peak_bytes - floor),
      step_ns_(bench.problem().unplanned().step_ns),
      is_small_(bench.problem().graph().num_events() < kSmall),
      search_(bench, std::move(options)),
      everything_kept_{everything_kept(bench.problem()), "keep_all"} {}

bool BudgetTree::can_be_halved(const Between& between) const {
  if (between.below != nullptr &&
      between.below->cost_ns() - between.above->cost_ns() <= (is_small_ ? 0 : step_ns_ / kNear))
    return false;
  const Bytes parts = between.below != nullptr ? kParts : kPartsAtFloor;
  const Bytes least_width = is_small_ ? 1 : std::max<Bytes>(1, range_ / parts);
  return between.above->peak_bytes() - between.from > least_width;
}

const Found* BudgetTree::look_between(const Between& between, Bytes budget) {
  const auto [place, is_new] = plans_.try_emplace(budget);
  if (is_new) place->second = search_.run(budget, between.below, *between.above, between.depth);
  return place->second ? &*place->second : nullptr;
}

const Found* BudgetTree::best_within(Bytes budget) {
  Between between{.from = floor_ - 1, .above = &everything_kept_};
  if (budget >= everything_kept_.peak_bytes()) return &everything_kept_;
  while (budget >= floor_ && can_be_halved(between) && !search_.is_stopped()) {
    const Bytes half = between.from + (between.above->peak_bytes() - between.from) / 2;
    const Found* found = look_between(between, half);
    ++between.depth;
    const bool fits = found != nullptr && found->peak_bytes() <= budget;
    if (found == nullptr || budget >= half) {
      // A plan for more memory may yet turn out to need less than half.
      between.from = half;
      between.below = found;
    } else if (fits) {
      return found;
    } else {
      between.above = found;
    }
  }
  return between.below;
}

const Found& BudgetTree::least() {
  Between between{.from = floor_ - 1, .above = &everything_kept_};
  while (can_be_halved(between) && !search_.is_stopped()) {
    const Bytes half = between.from + (between.above->peak_bytes() - between.from) / 2;
    if (const Found* found = look_between(between, half))
      between.above = found;
    else
      between.from = half;
    ++between.depth;
  }
  return *between.above;
}

}  // namespace tidemark
