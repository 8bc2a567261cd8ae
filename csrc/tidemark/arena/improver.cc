#include "tidemark/arena/improver.h"

#include <utility>

#include "tidemark/arena/sweep_fit.h"

namespace tidemark::arena {

Improver::Improver(const Partition& partition, Effort& effort)
    : partition_(partition),
      effort_(effort),
      orders_(partition),
      placer_(partition),
      proven_(partition.lower_bound) {}

void Improver::begin(Bytes goal) {
  if (partition_.is_plain) {
    best_ = sweep_fit(partition_);
  } else {
    try_order(orders_.sorted_by({Key::kEarlyStart, Key::kWidth, Key::kSize}), Fit::kBest);
  }
  for (const Recipe& recipe : portfolio()) {
    if (best_.height <= goal || effort_.is_over()) return;
    try_order(orders_.sorted_by(recipe.keys), recipe.fit);
  }
}

void Improver::lower_to(Bytes goal) {
  while (best_.height > goal && !effort_.is_over()) {
    try_order(orders_.drawn(random_), Fit::kFirst);
  }
}

// Returns whether the order gave a lower placement.
bool Improver::try_order(const Order& order, Fit fit) {
  const std::int64_t before = placer_.work();
  std::optional<Placement> found = placer_.place(order, fit, best_.height);
  effort_.spend(placer_.work() - before + static_cast<std::int64_t>(order.size()));
  if (!found) return false;
  best_ = *std::move(found);
  return true;
}

}  // namespace tidemark::arena
