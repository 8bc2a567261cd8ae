// Scarce room: addresses for a step where its arena and all outside it must not pass a limit.
//
// An arena is higher than what lives in it: by what alignment adds to small blocks, and by the gaps
// that remain between blocks of different lives. Where the limit leaves no room for that, blocks
// are left out, for the allocator below to place: first the small ones that alignment makes larger,
// then, where the arena is fullest, larger ones, if alignment alone makes it too high, and one or
// two of the largest, if the rest does not pack: what remains is another, lower instance.
//
// Pure function; may be called from any thread.
#pragma once

#include <optional>

#include "tidemark/arena/address_plan.h"

namespace tidemark {

// Returns a plan for one step or for two whose height and what lives outside it at any time are
// together at most `limit` bytes; nothing: none was found. `options` are for each of a few tries.
// The same for the same trace. REQUIRES: trace.live_bytes is known.
TIDEMARK_API std::optional<AddressPlan> plan_addresses_within(StepTrace trace, Bytes alignment,
                                                              Bytes limit,
                                                              const PackOptions& options = {});

}  // namespace tidemark
