#include "tidemark/plan/slot_chain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "tidemark/plan/revolve_planner.h"

namespace tidemark {
namespace {

constexpr Nanoseconds kNone = std::numeric_limits<Nanoseconds>::max();

// One op and, perhaps, a demand.
struct Link {
  Nanoseconds cost_ns = 0;
  int slots = 0;         // while the op runs
  int demand_slots = 0;  // 0: no demand
};

SlotChain chain_of(const std::vector<Link>& links, int slots) {
  SlotChain chain{.slots = slots, .items = {}};
  SlotChain::Item item;
  bool is_first = true;
  for (const Link& link : links) {
    item.cost_ns += link.cost_ns;
    if (is_first)
      item.first_slots = link.slots;
    else
      item.other_slots = std::min(item.other_slots, link.slots);
    is_first = link.demand_slots > 0;
    if (!is_first) continue;
    item.demand_slots = link.demand_slots;
    chain.items.push_back(std::exchange(item, {}));
  }
  return chain;
}

// The cheapest of all schedules: Dijkstra over what is there and what is served.
class AllSchedules {
 public:
  AllSchedules(const std::vector<Link>& links, int slots) : links_(links), slots_(slots) {}

  // What the whole chain and all demands cost, or kNone.
  Nanoseconds least() {
    reach({0, 0, next_demand(size())}, 0);
    while (!open_.empty()) {
      const auto [cost, state] = open_.begin()->first;
      open_.erase(open_.begin());
      if (best_[state] < cost) continue;
      if (state.has_ended && state.demand < 0) return cost;
      expand(state, cost);
    }
    return kNone;
  }

 private:
  struct State {
    unsigned there = 0;  // bit i: link i's item
    int has_ended = 0;   // the last link has run once
    int demand = 0;      // the next link whose item is demanded, or -1
    auto operator<=>(const State&) const = default;
  };

  int size() const { return static_cast<int>(links_.size()); }
  int next_demand(int before) const {
    for (int i = before - 1; i >= 0; --i)
      if (links_[i].demand_slots > 0) return i;
    return -1;
  }
  void reach(State state, Nanoseconds cost) {
    const auto [place, is_new] = best_.try_emplace(state, cost);
    if (!is_new && place->second <= cost) return;
    place->second = cost;
    open_[{cost, state}] = true;
  }
  void expand(const State& state, Nanoseconds cost) {
    for (int i = 0; i < size(); ++i) {
      const unsigned bit = 1U << i;
      if ((state.there & bit) != 0) {
        reach({state.there & ~bit, state.has_ended, state.demand}, cost);
        continue;
      }
      const bool can_run = i == 0 || (state.there & (bit >> 1)) != 0;
      const unsigned there = state.there | bit;
      const int taken = std::popcount(there);
      if (!can_run || taken > links_[i].slots || taken > slots_) continue;
      const bool has_ended = state.has_ended != 0 || i + 1 == size();
      reach({there, has_ended, state.demand}, cost + links_[i].cost_ns);
    }
    if (!state.has_ended || state.demand < 0) return;
    const bool is_there = (state.there >> state.demand & 1) != 0;
    if (is_there && std::popcount(state.there) <= links_[state.demand].demand_slots)
      reach({state.there, state.has_ended, next_demand(state.demand)}, cost);
  }

  const std::vector<Link>& links_;
  int slots_;
  std::map<State, Nanoseconds> best_;
  std::map<std::pair<Nanoseconds, State>, bool> open_;
};

TEST(SlotChain, IsTheCheapestOfAllSchedules) {
  std::mt19937 random(7);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  int num_dear = 0;
  int num_impossible = 0;
  for (int round = 0; round < 3000; ++round) {
    const int slots = 2 + below(2);
    std::vector<Link> links(4 + below(6));
    Nanoseconds once = 0;
    for (Link& link : links) {
      link = {1 + below(9), slots - (below(4) == 0 ? 1 : 0), 0};
      if (below(5) > 0) link.demand_slots = slots - (below(5) == 0 ? 1 : 0);
      once += link.cost_ns;
    }
    links.back().demand_slots = slots;
    const Nanoseconds least = AllSchedules(links, slots).least();
    const Nanoseconds ours = least_recompute_ns(chain_of(links, slots));
    EXPECT_EQ(ours, least == kNone ? kNone : least - once) << "round " << round;
    num_dear += ours != kNone && ours > once;
    num_impossible += ours == kNone;
  }
  EXPECT_GT(num_dear, 200);
  EXPECT_GT(num_impossible, 50);
}

// Revolve's snapshots are besides the state it is at, and it needs no room to go on from it: two
// more slots do all that it can, and one more does not.
TEST(SlotChain, LiesBetweenTwoClosedFormsOnEqualSteps) {
  for (int length : {2, 5, 16, 40, 90})
    for (int slots = 2; slots <= 9; ++slots) {
      const SlotChain chain =
          chain_of(std::vector<Link>(static_cast<std::size_t>(length), {1, slots, slots}), slots);
      const Nanoseconds ours = least_recompute_ns(chain) + length;
      // The chain's input is Revolve's first snapshot and the last item is not run from.
      EXPECT_LE(ours, revolve_steps(length + 1, slots - 1)) << length << ", " << slots;
      EXPECT_GE(ours, revolve_steps(length + 1, slots)) << length << ", " << slots;
    }
}

TEST(SlotChain, IsImpossibleWithoutRoomToAdvance) {
  EXPECT_EQ(least_recompute_ns(chain_of({{1, 1, 1}, {1, 1, 1}}, 1)), kNone);
  EXPECT_EQ(least_recompute_ns(chain_of({{1, 2, 2}, {1, 2, 2}}, 2)), 0);
}

}  // namespace
}  // namespace tidemark
