// AddressPlan: where every allocation of a step that repeats itself lies in one arena.
//
//   AddressPlan plan = plan_addresses(trace, alignment);       // once
//   plan.slots[i].offset                                       // where the i-th allocation goes
//
// A trace is what one step allocates, in order. The steps before and after it are taken to be like
// it, so that time is a circle: a gradient that the next step's zero_grad frees lives from its
// making to the end of the step and from the beginning of the next one to zero_grad. What has not
// died by the time that the next step makes its like has no slot: its address is not free then. On
// a circle of two steps it has: a step's output that the next step replaces lies by turns at one of
// two addresses.
//
// Serving it is slot_server.h's business.
//
// Knows neither graphs nor torch. Pure functions; may be called from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tidemark/arena/pack.h"

namespace tidemark {

// One allocation of a step.
struct TracedBlock {
  Bytes bytes = 0;
  Time begin = 0;           // when it is made
  std::optional<Time> end;  // when it dies; nothing: it outlives the step
  // If it outlives the step: when its like of the step before died in this one, 0 if before it
  // began; nothing: not within the step.
  std::optional<Time> end_of_last;
  bool is_left_out = false;  // has no slot, whenever it dies
  bool operator==(const TracedBlock&) const = default;
};

struct TIDEMARK_API StepTrace {
  Time length = 0;                  // times are in [0, length)
  std::vector<TracedBlock> blocks;  // in order of allocation
  std::vector<Bytes> live_bytes;    // per time: all that counts, these blocks and others

  // Whether something that is not left out dies in the next step, but not before its like is made.
  bool has_overlaps() const noexcept;
};

inline constexpr Bytes kNoOffset = -1;

struct AddressSlot {
  Bytes bytes = 0;
  Bytes offset = kNoOffset;  // kNoOffset: not in the arena
  bool outlives_step = false;
  std::vector<std::int32_t> before;  // the slots that lay last where this one is to lie
};

struct TIDEMARK_API AddressPlan {
  int num_steps = 1;               // after so many all lies where it lay
  std::vector<AddressSlot> slots;  // one per allocation of so many steps
  Instance instance;               // what was packed, on a circle cut where the least bytes live
  Packing packing;
  Bytes height() const noexcept { return packing.layout.height; }
  // Of all that one step has in the arena, each by itself.
  Bytes block_bytes() const noexcept;
};

// Returns the lowest plan found, the same for the same trace. Every offset is a multiple of
// `alignment`. Throws std::invalid_argument if a time is outside [0, length).
TIDEMARK_API AddressPlan plan_addresses(const StepTrace& trace, Bytes alignment,
                                        const PackOptions& options = {});

// The same for two steps like it.
TIDEMARK_API AddressPlan plan_addresses_of_two(const StepTrace& trace, Bytes alignment,
                                               const PackOptions& options = {});

// Lays the plan of two steps out anew in at most `height` bytes, and returns whether it could: if
// not, the plan stays as it is. The second step is the mirror image of the first, so that what
// lives across the cut lies by turns at the bottom and at the top and only one step needs to be
// packed, where the packer sees two that pull at each other. REQUIRES: `plan` is of two steps like
// `trace`.
TIDEMARK_API bool mirror_second_step(AddressPlan& plan, const StepTrace& trace, Bytes height,
                                     const PackOptions& options = {});

// Returns the most bytes beyond those at time 0 that live outside an arena with this plan, for one
// step or for two. REQUIRES: trace.live_bytes is known.
TIDEMARK_API Bytes growth_outside(const StepTrace& trace, const AddressPlan& plan);

}  // namespace tidemark
