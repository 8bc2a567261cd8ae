#include "tidemark/arena/race.h"

#include <algorithm>
#include <iterator>

namespace tidemark::arena {
namespace {

using enum Key;
constexpr Keys kLongRuns[] = {
    {kBreadth, kWidth, kArea}, {kBreadth, kWidth, kEarlyStart}, {kLateEnd, kLateStart, kArea},
    {kBreadth, kSize, kWidth}, {kWidth, kBreadth, kArea},
};
constexpr Key kKeys[] = {kBreadth, kLateEnd, kEarlyStart, kLateStart, kEarlyEnd,
                         kWidth,   kSize,    kArea,       kSections,  kOverlaps};
constexpr std::size_t kNumPairs = std::size(kKeys) * (std::size(kKeys) - 1);

constexpr std::int64_t kFirstSlice = 150'000;
constexpr int kShortTries = 12;  // per round

}  // namespace

Race::Race(const Partition& partition, const Orders& orders, Bytes capacity)
    : partition_(partition), orders_(orders), capacity_(capacity), slice_(kFirstSlice) {}

SearchState Race::run(std::int64_t work, Effort& effort) {
  const std::int64_t end = effort.spent() + work;
  while (effort.spent() < end && !effort.is_over()) {
    const SearchState state = take_round(effort);
    if (state != SearchState::kRunning) return state;
    slice_ += slice_ / 4;
  }
  return SearchState::kRunning;
}

SearchState Race::take_round(Effort& effort) {
  for (std::size_t k = 0; k < std::size(kLongRuns); ++k) {
    if (k == searches_.size()) {
      searches_.push_back(
          std::make_unique<Search>(partition_, orders_.sorted_by(kLongRuns[k]), capacity_));
    }
    const SearchState state = take_turn(*searches_[k], effort);
    if (state != SearchState::kRunning) return state;
  }
  for (int k = 0; k < kShortTries; ++k) {
    Search search(partition_, next_short_try(), capacity_);
    const SearchState state = take_turn(search, effort);
    if (state != SearchState::kRunning) return state;
  }
  return SearchState::kRunning;
}

// Two pairs of keys, one order at random, and so on.
Order Race::next_short_try() {
  const std::size_t k = num_tries_++;
  if (k % 3 == 2) return orders_.drawn_for_search(random_);
  const std::size_t pair = (k - k / 3) % kNumPairs;
  const std::size_t first = pair % std::size(kKeys);
  const std::size_t second = (first + 1 + pair / std::size(kKeys)) % std::size(kKeys);
  return orders_.sorted_by({kKeys[first], kKeys[second], kArea});
}

SearchState Race::take_turn(Search& search, Effort& effort) {
  for (std::int64_t left = slice_; left > 0 && !effort.is_over(); left -= kFirstSlice) {
    const std::int64_t done = search.work();
    if (search.run(std::min(left, kFirstSlice)) != SearchState::kRunning) left = 0;
    effort.spend(search.work() - done);
  }
  if (search.state() == SearchState::kFound) found_ = search.placement();
  return search.state();
}

}  // namespace tidemark::arena
