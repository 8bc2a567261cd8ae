#include "tidemark/arena/improver.h"

#include <algorithm>
#include <utility>

#include "tidemark/arena/sweep_fit.h"

namespace tidemark::arena {
namespace {

constexpr std::int32_t kLargestSearched = 2500;  // items; neighbours are quadratic in them
constexpr std::int64_t kFirstWork = 4'000'000;
constexpr std::int64_t kMostWork = std::int64_t{1} << 40;  // more than any time limit allows

}  // namespace

Improver::Improver(const Partition& partition, Effort& effort)
    : partition_(partition),
      effort_(effort),
      orders_(partition),
      placer_(partition, effort),
      repair_(partition, effort),
      work_(kFirstWork),
      proven_(partition.lower_bound) {}

void Improver::begin(Bytes goal) {
  if (partition_.is_plain) {
    best_ = sweep_fit(partition_);
  } else {  // there must be a layout, however short the effort
    std::int64_t work = 0;
    const Order order = orders_.sorted_by({Key::kEarlyStart, Key::kWidth, Key::kSize});
    best_ = place_all(partition_, order, Fit::kBest, work);
    effort_.spend(work);
  }
  for (const Recipe& recipe : portfolio()) {
    if (best_.height <= goal || effort_.is_over()) return;
    try_order(orders_.sorted_by(recipe.keys), recipe.fit);
  }
}

void Improver::go_on(Bytes goal) {
  const std::int64_t work = work_;
  work_ = std::min(work_ + work_ / 2, kMostWork);  // rounds that end early may be many
  const bool is_small = partition_.num_items() <= kLargestSearched;
  const Bytes target = std::max(goal, proven_);
  if (is_small) search_at(target, at_goal_, 4 * work);
  if (proven_ > target || best_.height <= target) return;
  // On large partitions whole random orders and repairs find different things: half the work each.
  try_random_orders(target, is_small ? work / 4 : work);
  repair_.lower(best_, target, is_small ? work / 4 : work);
  // Where the goal itself is out of reach, a quarter of the way may not be.
  if (!is_small || best_.height <= target + 1) return;
  if (next_ >= best_.height || next_ <= proven_) {
    next_ = best_.height - std::max<Bytes>((best_.height - target) / 4, 1);
    below_best_.reset();
  }
  search_at(next_, below_best_, work);
}

// Goes on with the race for `capacity`; what it finds or proves is noted.
void Improver::search_at(Bytes capacity, std::unique_ptr<Race>& race, std::int64_t work) {
  if (!race) race = std::make_unique<Race>(partition_, orders_, capacity);
  const SearchState state = race->run(work, effort_);
  if (state == SearchState::kFound) best_ = race->found();
  if (state == SearchState::kExhausted) proven_ = std::max(proven_, capacity + 1);
  if (state != SearchState::kRunning) race.reset();
}

void Improver::try_random_orders(Bytes goal, std::int64_t work) {
  const std::int64_t end = effort_.spent() + work;
  do {
    try_order(orders_.drawn(random_), Fit::kFirst);
  } while (best_.height > goal && effort_.spent() < end && !effort_.is_over());
}

// Returns whether the order gave a lower placement.
bool Improver::try_order(const Order& order, Fit fit) {
  std::optional<Placement> found = placer_.place(order, fit, best_.height);
  effort_.spend(static_cast<std::int64_t>(order.size()));
  if (!found) return false;
  best_ = *std::move(found);
  return true;
}

}  // namespace tidemark::arena
