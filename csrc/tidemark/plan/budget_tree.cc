#include "tidemark/plan/budget_tree.h"

#include <algorithm>
#include <utility>

namespace tidemark {
namespace {

// The range is divided into so many parts.
constexpr Bytes kParts = 1024;
// In the lowest of so many parts of the range the plan for the least budget competes, too. It is
// not asked for further up, where plans are far cheaper: that one is taken for granted, not proved.
constexpr Bytes kLowParts = 4;
constexpr Bytes kLowPartsOfLarge = 32;
// Neighbours whose costs differ by less than this part of the step's time are near enough.
constexpr Nanoseconds kNear = 10000;
// Steps with fewer events are divided down to single bytes.
constexpr int kSmall = 256;
// In those with more the search for the least budget takes several times as long as all others.
constexpr int kLarge = 500;
// What the halvings for one budget may take, per event and at least. Near the floor of large steps
// they are no more than a beginning for the search at the budget itself.
constexpr std::int64_t kWorkPerEvent = 4000;
constexpr std::int64_t kLeastWork = 15'000'000;

}  // namespace

BudgetTree::BudgetTree(Workbench& bench, Bytes floor, CoreOptions options)
    : floor_(floor),
      range_(bench.problem().unplanned().peak_bytes - floor),
      step_ns_(bench.problem().unplanned().step_ns),
      num_events_(bench.problem().graph().num_events()),
      is_small_(num_events_ < kSmall),
      is_large_(num_events_ > kLarge),
      search_(bench, options),
      least_(bench.problem(), floor, std::move(options)),
      everything_kept_{everything_kept(bench.problem()), "keep_all"} {}

bool BudgetTree::can_be_halved(const Between& between) const {
  if (between.below != nullptr &&
      between.below->cost_ns() - between.above->cost_ns() <= (is_small_ ? 0 : step_ns_ / kNear))
    return false;
  const Bytes least_width = is_small_ ? 1 : std::max<Bytes>(1, range_ / kParts);
  return between.above->peak_bytes() - between.from > least_width;
}

bool BudgetTree::is_near_floor(Bytes budget) const {
  const Bytes parts = is_large_ ? kLowPartsOfLarge : kLowParts;
  return is_small_ || budget - floor_ <= range_ / parts;
}

Bytes BudgetTree::least_bytes() {
  Bytes least = least_.plan().peak_bytes();
  if (!search_.is_stopped()) return least;
  for (const auto* plans : {&plans_, &at_once_, &refined_})
    for (const auto& [asked, found] : *plans)
      if (found) least = std::min(least, found->peak_bytes());
  return least;
}

// The cheapest plan for the least budget.
const Found& BudgetTree::at_least() {
  if (at_least_) return *at_least_;
  const Found& least = least_.plan();
  std::optional<Found> found;
  if (!search_.is_stopped()) found = search_.run(least.peak_bytes(), &least, everything_kept_, 0);
  at_least_ = found ? *std::move(found) : least;
  return *at_least_;
}

// Among all plans so far.
const Found* BudgetTree::cheapest_known(Bytes budget) const {
  const Found* best = nullptr;
  const auto consider = [&](const Found& found) {
    if (found.peak_bytes() > budget) return;
    if (best == nullptr || found.cost_ns() < best->cost_ns()) best = &found;
  };
  for (const auto* plans : {&plans_, &at_once_, &refined_})
    for (const auto& [asked, found] : *plans)
      if (found) consider(*found);
  std::ranges::for_each(least_.on_the_way(), consider);
  if (at_least_) consider(*at_least_);
  return best;
}

const Found* BudgetTree::look_between(const Between& between, Bytes budget) {
  const auto [place, is_new] = plans_.try_emplace(budget);
  std::optional<Found>& found = place->second;
  if (!is_new) return found ? &*found : nullptr;
  found = search_.run(budget, between.below, *between.above, between.depth);
  const bool is_low = between.below == nullptr && (!found || is_near_floor(budget));
  if (!is_low || least_.plan().peak_bytes() > budget) return found ? &*found : nullptr;
  if (!found) found = search_.run(budget, &at_least(), *between.above, between.depth);
  if (!found || found->cost_ns() > at_least().cost_ns()) found = at_least();
  return &*found;
}

const Found* BudgetTree::best_within(Bytes budget) {
  if (budget >= everything_kept_.peak_bytes()) return &everything_kept_;
  const Found* found = halve_down_to(budget);
  if (budget < floor_ || search_.is_stopped()) return found;
  if (const Found* known = cheapest_known(budget)) found = known;
  const auto [place, is_new] = refined_.try_emplace(budget);
  std::optional<Found>& refined = place->second;
  if (is_new) refined = search_.refine(found, budget);
  return refined ? &*refined : found;
}

const Found* BudgetTree::halve_down_to(Bytes budget) {
  Between between{.from = floor_ - 1, .above = &everything_kept_};
  if (budget >= floor_ && !search_.is_stopped()) {
    const auto [place, is_new] = at_once_.try_emplace(budget);
    if (is_new) place->second = search_.look_at_once(budget);
  }
  const std::int64_t last_work = search_.work() + std::max(kLeastWork, kWorkPerEvent * num_events_);
  const auto is_over = [&] { return search_.is_stopped() || search_.work() > last_work; };
  while (budget >= floor_ && can_be_halved(between) && !is_over()) {
    const Bytes half = between.from + (between.above->peak_bytes() - between.from) / 2;
    const Found* found = look_between(between, half);
    ++between.depth;
    const bool fits = found != nullptr && found->peak_bytes() <= budget;
    if (found == nullptr || budget >= half) {
      // A plan for more memory may yet turn out to need less than half.
      between.from = half;
      between.below = found;
    } else if (fits) {
      return is_over() ? cheapest_known(budget) : found;
    } else {
      between.above = found;
    }
  }
  // Cut short, the halvings have not come as near to the budget as other plans may be.
  if (is_over())
    if (const Found* known = cheapest_known(budget)) return known;
  if (between.below != nullptr) return between.below;
  return budget >= floor_ && least_.plan().peak_bytes() <= budget ? &at_least() : nullptr;
}

}  // namespace tidemark
