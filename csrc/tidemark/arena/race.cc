#include "tidemark/arena/race.h"

#include <algorithm>
#include <iterator>

namespace tidemark::arena {
namespace {

using enum Key;
constexpr Keys kOrders[] = {
    {kBreadth, kWidth, kArea},      {kBreadth, kWidth, kEarlyStart}, {kLateEnd, kLateStart, kArea},
    {kBreadth, kSize, kWidth},      {kEarlyStart, kWidth, kArea},    {kWidth, kBreadth, kArea},
    {kBreadth, kEarlyStart, kArea}, {kLateEnd, kWidth, kArea},
};

constexpr std::int64_t kFirstSlice = 200'000;
constexpr std::size_t kRandomSearches = 4;

}  // namespace

Race::Race(const Partition& partition, const Orders& orders, Bytes capacity)
    : partition_(partition), orders_(orders), capacity_(capacity), slice_(kFirstSlice) {}

SearchState Race::run(std::int64_t work, Effort& effort) {
  const std::int64_t end = effort.spent() + work;
  while (effort.spent() < end && !effort.is_over()) {
    // Every round gives each search as much again as it has had so far.
    for (std::size_t k = 0; k < std::size(kOrders); ++k) {
      if (k == searches_.size()) {
        searches_.push_back(
            std::make_unique<Search>(partition_, orders_.sorted_by(kOrders[k]), capacity_));
      }
      const SearchState state = take_turn(*searches_[k], slice_, effort);
      if (state != SearchState::kRunning) return state;
    }
    for (std::size_t k = 0; k < kRandomSearches; ++k) {
      Search search(partition_, orders_.drawn_for_search(random_), capacity_);
      const SearchState state = take_turn(search, slice_, effort);
      if (state != SearchState::kRunning) return state;
    }
    slice_ += slice_ / 2;
  }
  return SearchState::kRunning;
}

SearchState Race::take_turn(Search& search, std::int64_t work, Effort& effort) {
  const std::int64_t before = search.work();
  for (std::int64_t left = work; left > 0 && !effort.is_over(); left -= kFirstSlice) {
    if (search.run(std::min(left, kFirstSlice)) != SearchState::kRunning) break;
    effort.spend(0);
  }
  effort.spend(search.work() - before);
  if (search.state() == SearchState::kFound) found_ = search.placement();
  return search.state();
}

}  // namespace tidemark::arena
