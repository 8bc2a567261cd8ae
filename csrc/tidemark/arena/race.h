// Race: several searches for one capacity, each with its own order, taking turns.
//
// Which order suits an instance cannot be told beforehand and run times are heavy-tailed, so none
// gets much more work than the others. Orders by crowding find the tight sections first; orders by
// time build up one side of the instance after the other and turn back close to where they erred.
// A few run on and on; all pairs of keys and random orders get a short try in between, again and
// again with more work each time.
//
// Most searches see items of equal lifetime as one: that loses little and makes trees much smaller.
// What they find is a placement; that they find none proves nothing, so at least one search sees
// all items as they are.
//
// Internal to this folder. One thread at a time.
#pragma once

#include <memory>
#include <random>
#include <vector>

#include "tidemark/arena/effort.h"
#include "tidemark/arena/orders.h"
#include "tidemark/arena/partition.h"
#include "tidemark/arena/search.h"

namespace tidemark::arena {

class Race {
 public:
  // REQUIRES: the references outlive this.
  Race(const Partition& partition, const Orders& orders, Bytes capacity);

  // Runs until one search finds a placement or proves that there is none, or `work` or the effort
  // is spent.
  SearchState run(std::int64_t work, Effort& effort);

  // REQUIRES: the last run returned kFound.
  const Placement& found() const { return found_; }

 private:
  // The items as they are, or with those of equal lifetime as one, and the searches that run on.
  struct Track {
    const Partition& partition;
    const Orders& orders;
    std::vector<std::unique_ptr<Search>> long_runs;
  };

  SearchState take_round(Effort& effort);
  SearchState take_long_turns(Track& track, std::size_t count, Effort& effort);
  SearchState take_short_turns(Track& track, Effort& effort);
  void take_turn(Search& search, Effort& effort) const;
  SearchState note(const Track& track, const Search& search);
  Order next_short_try(const Orders& orders);

  Bytes capacity_;
  std::vector<std::vector<std::int32_t>> members_;  // per item of merged_: items of the partition
  Partition merged_;
  Orders merged_orders_;
  Track exact_track_;
  Track merged_track_;
  bool use_merged_;  // until that has no placement
  std::int64_t slice_;
  std::size_t num_tries_ = 0;
  std::mt19937_64 random_{1};
  Placement found_;
};

}  // namespace tidemark::arena
