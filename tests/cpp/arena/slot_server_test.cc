#include "tidemark/arena/slot_server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <vector>

namespace tidemark {
namespace {

constexpr Bytes kAlignment = 64;

// A step that allocates and frees at random, the same every time; some blocks live on into the step
// that follows.
struct Program {
  struct Event {
    bool is_allocation = false;
    int block = 0;         // of this step, in order of allocation
    bool is_last = false;  // a free: of the step before
  };
  std::vector<Bytes> bytes;
  std::vector<Event> events;
};

class Random {
 public:
  explicit Random(std::uint32_t seed) : random_(seed) {}
  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint32_t>(n)); }

 private:
  std::mt19937 random_;
};

Program random_program(Random& random, int num_blocks) {
  Program program;
  std::vector<int> live;
  for (int block = 0; block < num_blocks;) {
    if (live.empty() || random.below(2) == 0) {
      program.bytes.push_back(1 + random.below(400));
      program.events.push_back({.is_allocation = true, .block = block});
      live.push_back(block++);
    } else {
      const auto chosen = live.begin() + random.below(static_cast<int>(live.size()));
      program.events.push_back({.block = *chosen});
      live.erase(chosen);
    }
  }
  // What is left dies in the next step, some of it after its like was made.
  for (const int block : live) {
    const int at = random.below(static_cast<int>(program.events.size()));
    program.events.insert(program.events.begin() + at, {.block = block, .is_last = true});
  }
  return program;
}

StepTrace trace_of(const Program& program) {
  StepTrace trace;
  for (const Bytes bytes : program.bytes) trace.blocks.push_back({.bytes = bytes});
  trace.length = static_cast<Time>(program.events.size()) + 2;
  for (std::size_t i = 0; i < program.events.size(); ++i) {
    const auto& [is_allocation, block, is_last] = program.events[i];
    const Time now = static_cast<Time>(i) + 1;
    TracedBlock& traced = trace.blocks[block];
    (is_allocation ? traced.begin
     : is_last     ? traced.end_of_last.emplace()
                   : traced.end.emplace()) = now;
  }
  return trace;
}

// Any valid plan will do. Two plans: for steps that are all alike, and for two by turns.
std::vector<AddressPlan> plans_of(const Program& program) {
  const StepTrace trace = trace_of(program);
  return {plan_addresses(trace, kAlignment, {.work_limit = 0}),
          plan_addresses_of_two(trace, kAlignment, {.work_limit = 0})};
}

// Runs steps of a program and looks at every slot that it is given.
class Runner {
 public:
  explicit Runner(const AddressPlan& plan) : server_(plan) {}

  bool begin_step() { return server_.begin_step(); }
  void allocate(int block, Bytes bytes) {
    const std::int32_t slot = server_.take(bytes);
    if (slot == kNoSlot) return;
    const AddressRange range = server_.range(slot);
    for (const auto& [_, other] : live_) {
      const AddressRange taken = server_.range(other);
      EXPECT_TRUE(range.end <= taken.begin || taken.end <= range.begin) << "slots overlap";
    }
    live_[{step_, block}] = slot;
  }
  void free(int step, int block) {
    const auto found = live_.find({step, block});
    if (found == live_.end()) return;
    EXPECT_FALSE(server_.give_back(found->second));
    live_.erase(found);
  }
  void run(const Program& program) {
    for (const auto& [is_allocation, block, is_last] : program.events) {
      if (is_allocation) {
        allocate(block, program.bytes[block]);
      } else {
        free(step_ - (is_last ? 1 : 0), block);
      }
    }
  }
  // Does everything a little differently: sizes, order, when and whether blocks die.
  void run_astray(const Program& program, Random& random) {
    const int end = random.below(static_cast<int>(program.events.size()) + 1);
    for (int i = 0; i < end; ++i) {
      const auto& [is_allocation, block, is_last] = program.events[i];
      const bool strays = random.below(12) == 0;
      if (is_allocation) {
        allocate(block, program.bytes[block] + (strays ? 1 : 0));
      } else if (!strays) {
        free(step_ - (is_last ? 1 : 0), block);
      }
    }
    while (!live_.empty() && random.below(3) > 0) {
      const auto [step, block] = live_.begin()->first;
      free(step, block);
    }
  }
  void end_step() { ++step_; }
  void free_all() {
    while (!live_.empty()) free(live_.begin()->first.first, live_.begin()->first.second);
  }
  const SlotServer& server() const { return server_; }

 private:
  SlotServer server_;
  std::map<std::pair<int, int>, std::int32_t> live_;  // slots by step and block
  int step_ = 0;
};

TEST(SlotServer, ServesEveryBlockOfAStepThatRepeatsItself) {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    const Program program = random_program(random, 2 + random.below(30));
    for (const AddressPlan& plan : plans_of(program)) {
      const auto num_slots = std::count_if(plan.slots.begin(), plan.slots.end(),
                                           [](const auto& slot) { return slot.offset >= 0; });
      Runner runner(plan);
      for (int step = 0; step < 5; ++step) {
        ASSERT_TRUE(runner.begin_step());
        runner.run(program);
        runner.end_step();
        EXPECT_FALSE(runner.server().has_differed());
        EXPECT_EQ(runner.server().num_taken(), num_slots / plan.num_steps);
      }
      if (plan.num_steps == 2) {
        EXPECT_EQ(num_slots, 2 * program.bytes.size());
      }
    }
  }
}

TEST(SlotServer, GivesNoAddressTwiceWhateverTheProgramDoes) {
  std::int64_t num_taken = 0;
  std::int64_t num_refused = 0;
  for (std::uint32_t seed = 0; seed < 2000; ++seed) {
    Random random(seed);
    const Program program = random_program(random, 2 + random.below(30));
    Runner runner(plans_of(program)[seed % 2]);
    for (int step = 0; step < 8; ++step) {
      if (!runner.begin_step()) {
        runner.free_all();
        ASSERT_TRUE(runner.begin_step());
      }
      if (random.below(2) == 0) {
        runner.run(program);
      } else {
        runner.run_astray(program, random);
      }
      runner.end_step();
      num_taken += runner.server().num_taken();
      num_refused += runner.server().num_refused();
    }
  }
  EXPECT_GT(num_taken, 10000);
  EXPECT_GT(num_refused, 10000);
}

TEST(SlotServer, WithoutItsLookAtSlotsBelowGivesAddressesTwice) {
  int num_overlaps = 0;
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    const Program program = random_program(random, 20);
    AddressPlan plan = plans_of(program).front();
    for (AddressSlot& slot : plan.slots) slot.before.clear();
    SlotServer server(plan);
    server.begin_step();
    std::vector<AddressRange> kept;  // nothing is ever freed
    for (const Bytes bytes : program.bytes) {
      const std::int32_t slot = server.take(bytes);
      if (slot == kNoSlot) continue;
      const AddressRange range = server.range(slot);
      num_overlaps += std::any_of(kept.begin(), kept.end(), [&](const AddressRange& other) {
        return range.begin < other.end && other.begin < range.end;
      });
      kept.push_back(range);
    }
  }
  EXPECT_GT(num_overlaps, 0);
}

TEST(SlotServer, DoesNotBeginAStepWhileAnythingUnplannedLives) {
  StepTrace trace{.length = 4, .blocks = {{.bytes = 64, .begin = 1, .end = 2}}};
  SlotServer server(plan_addresses(trace, kAlignment));
  ASSERT_TRUE(server.begin_step());
  const std::int32_t slot = server.take(64);
  EXPECT_EQ(server.live_bytes(), 64);
  EXPECT_TRUE(server.free_ranges(64).empty());
  EXPECT_FALSE(server.begin_step());
  server.give_back(slot);
  EXPECT_TRUE(server.begin_step());
  EXPECT_EQ(server.free_ranges(64), (std::vector<AddressRange>{{0, 64}}));
}

TEST(SlotServer, ServesNothingWhereASlotIsReserved) {
  // A gradient, upon which the next step's first block comes to lie.
  const StepTrace trace{
      .length = 7,
      .blocks = {{.bytes = 64, .begin = 2, .end = 3}, {.bytes = 64, .begin = 4, .end_of_last = 1}}};
  SlotServer server(plan_addresses(trace, kAlignment));
  server.reserve(1);
  EXPECT_EQ(server.live_bytes(), 64);
  ASSERT_TRUE(server.begin_step());
  EXPECT_EQ(server.take(64), kNoSlot);
  EXPECT_TRUE(server.has_differed());
  EXPECT_FALSE(server.give_back(1));
  ASSERT_TRUE(server.begin_step());
  EXPECT_EQ(server.take(64), 0);
}

TEST(SlotServer, IsHeldByItsOwnerAndByEverySlotThatIsTaken) {
  StepTrace trace{.length = 4, .blocks = {{.bytes = 64, .begin = 1, .end = 2}}};
  SlotServer server(plan_addresses(trace, kAlignment));
  server.begin_step();
  const std::int32_t slot = server.take(64);
  EXPECT_FALSE(server.retire());
  EXPECT_EQ(server.take(64), kNoSlot);
  EXPECT_TRUE(server.give_back(slot));
}

}  // namespace
}  // namespace tidemark
