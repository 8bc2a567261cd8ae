// Improver: one partition, its best placement so far, and everything that may lower it.
//
// Internal to this folder. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <random>

#include "tidemark/arena/effort.h"
#include "tidemark/arena/orders.h"
#include "tidemark/arena/partition.h"
#include "tidemark/arena/placer.h"
#include "tidemark/arena/race.h"
#include "tidemark/arena/repair.h"

namespace tidemark::arena {

class Improver {
 public:
  // REQUIRES: `partition` and `effort` outlive this.
  Improver(const Partition& partition, Effort& effort);

  // Makes a first placement and tries the portfolio on it, until it is no higher than `goal`.
  void begin(Bytes goal);

  // Goes on lowering the placement towards `goal` for a while, longer every time. Stops early when
  // it is no higher than that, or proven not to become so, or the effort is over. REQUIRES: the
  // same goal every time.
  void go_on(Bytes goal);

  const Placement& best() const { return best_; }
  // No placement of this partition is lower than this.
  Bytes proven() const { return proven_; }

 private:
  bool try_order(const Order& order, Fit fit);
  void search_at(Bytes capacity, std::unique_ptr<Race>& race, std::int64_t work);
  void try_random_orders(Bytes goal, std::int64_t work);

  const Partition& partition_;
  Effort& effort_;
  Orders orders_;
  Placer placer_;
  Repair repair_;
  std::mt19937_64 random_{0x7469646d61726bULL};
  std::unique_ptr<Race> at_goal_;
  std::unique_ptr<Race> below_best_;
  Bytes next_ = kNoLimit;  // what below_best_ tries
  std::int64_t work_;      // of the next go
  Placement best_;
  Bytes proven_;
};

}  // namespace tidemark::arena
