#include "tidemark/arena/race.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

namespace tidemark::arena {
namespace {

using enum Key;
constexpr Keys kLongRuns[] = {
    {kBreadth, kWidth, kArea},   {kBreadth, kWidth, kEarlyStart}, {kLateEnd, kLateStart, kArea},
    {kLateEnd, kBreadth, kArea}, {kEarlyStart, kBreadth, kArea},  {kBreadth, kSize, kWidth},
    {kWidth, kBreadth, kArea},
};
constexpr Key kKeys[] = {kBreadth, kLateEnd, kEarlyStart, kLateStart, kEarlyEnd,
                         kWidth,   kSize,    kArea,       kSections,  kOverlaps};
constexpr std::size_t kNumPairs = std::size(kKeys) * (std::size(kKeys) - 1);

constexpr std::int64_t kFirstSlice = 150'000;
constexpr int kShortTries = 12;  // per round

// Returns the partition with items of equal lifetime as one; `members` says which they are.
Partition merge(const Partition& partition, std::vector<std::vector<std::int32_t>>& members) {
  Partition merged = partition;
  merged.items.clear();
  std::map<std::pair<std::int32_t, std::int32_t>, std::size_t> place;
  for (std::int32_t i = 0; i < partition.num_items(); ++i) {
    const Item& item = partition.items[i];
    const auto [at, is_new] = place.emplace(std::pair(item.begin, item.end), merged.items.size());
    if (is_new) {
      merged.items.push_back(item);
      members.push_back({i});
    } else {
      merged.items[at->second].size += item.size;
      members[at->second].push_back(i);
    }
  }
  return merged;
}

}  // namespace

Race::Race(const Partition& partition, const Orders& orders, Bytes capacity)
    : capacity_(capacity),
      merged_(merge(partition, members_)),
      merged_orders_(merged_),
      exact_track_{partition, orders, {}},
      merged_track_{merged_, merged_orders_, {}},
      // Merged items would have to be aligned and to find their way around obstacles as one.
      use_merged_(partition.is_plain && merged_.items.size() < partition.items.size()),
      slice_(kFirstSlice) {}

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
  if (use_merged_) {
    SearchState state = take_long_turns(merged_track_, std::size(kLongRuns), effort);
    if (state == SearchState::kRunning) state = take_short_turns(merged_track_, effort);
    if (state == SearchState::kFound) return state;
    if (state == SearchState::kExhausted) use_merged_ = false;
    return take_long_turns(exact_track_, 1, effort);
  }
  const SearchState state = take_long_turns(exact_track_, std::size(kLongRuns), effort);
  return state == SearchState::kRunning ? take_short_turns(exact_track_, effort) : state;
}

SearchState Race::take_long_turns(Track& track, std::size_t count, Effort& effort) {
  for (std::size_t k = 0; k < count; ++k) {
    if (k == track.long_runs.size()) {
      track.long_runs.push_back(std::make_unique<Search>(
          track.partition, track.orders.sorted_by(kLongRuns[k]), capacity_));
    }
    take_turn(*track.long_runs[k], effort);
    if (note(track, *track.long_runs[k]) != SearchState::kRunning) {
      return track.long_runs[k]->state();
    }
  }
  return SearchState::kRunning;
}

SearchState Race::take_short_turns(Track& track, Effort& effort) {
  for (int k = 0; k < kShortTries; ++k) {
    Search search(track.partition, next_short_try(track.orders), capacity_);
    take_turn(search, effort);
    if (note(track, search) != SearchState::kRunning) return search.state();
  }
  return SearchState::kRunning;
}

// Two pairs of keys, one order at random, and so on.
Order Race::next_short_try(const Orders& orders) {
  const std::size_t k = num_tries_++;
  if (k % 3 == 2) return orders.drawn_for_search(random_);
  const std::size_t pair = (k - k / 3) % kNumPairs;
  const std::size_t first = pair % std::size(kKeys);
  const std::size_t second = (first + 1 + pair / std::size(kKeys)) % std::size(kKeys);
  return orders.sorted_by({kKeys[first], kKeys[second], kArea});
}

void Race::take_turn(Search& search, Effort& effort) const {
  for (std::int64_t left = slice_; left > 0 && !effort.is_over(); left -= kFirstSlice) {
    const std::int64_t done = search.work();
    if (search.run(std::min(left, kFirstSlice)) != SearchState::kRunning) left = 0;
    effort.spend(search.work() - done);
  }
}

// Keeps what was found, every item by itself again.
SearchState Race::note(const Track& track, const Search& search) {
  if (search.state() != SearchState::kFound) return search.state();
  found_ = search.placement();
  if (&track != &merged_track_) return search.state();
  const std::vector<Bytes> merged = std::move(found_.offsets);
  found_.offsets.assign(exact_track_.partition.items.size(), 0);
  for (std::size_t m = 0; m < members_.size(); ++m) {
    Bytes offset = merged[m];
    for (const std::int32_t i : members_[m]) {
      found_.offsets[i] = offset;
      offset += exact_track_.partition.items[i].size;
    }
  }
  return search.state();
}

}  // namespace tidemark::arena
