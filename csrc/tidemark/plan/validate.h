// validate: is this plan legal for this graph, and does it promise the truth?
//
// A second reading of plan.h by other means: it shares no line with the simulator or a planner, it
// looks everything up again instead of remembering, and it is slow on purpose (every event counts
// everything that is live then). It names the first rule that a plan breaks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tidemark/base/export.h"
#include "tidemark/graph/graph.h"
#include "tidemark/plan/plan.h"

namespace tidemark {

enum class Rule : std::uint8_t {
  kBadId,               // an event, value or op that the graph does not have, or not as named
  kNotActionable,       // actions where the runtime cannot act
  kActionOrder,         // events not ascending, or not replays in op order, then keeps, then drops
  kPinnedReplay,        // replay of an op that is pinned or that the runtime does not tape
  kMissingInput,        // replay of an op whose input is not there at its version
  kAbsentKeep,          // keep of a value that is not there
  kAbsentAtUse,         // a value is not there when it is unpacked
  kDroppedThenWritten,  // drop of a value whose block is written while someone still wants it
  kWrongRecompute,      // promised recompute time is not the recounted one
  kWrongReplayCount,    // promised number of replays is not the recounted one
  kWrongPeak,           // promised peak is not the recounted one
  kOverBudget,          // the recounted peak is above the plan's budget
};

TIDEMARK_API std::string_view to_string(Rule rule) noexcept;

struct Violation {
  Rule rule = Rule::kBadId;
  EventIndex event = kNone;  // where, kNone if the plan as a whole
  ValueIndex value = kNone;  // which, kNone if none is at fault
  std::string sentence;
  bool operator==(const Violation&) const = default;
};

// Returns the first broken rule, or nothing for a plan that may be followed.
TIDEMARK_API std::optional<Violation> validate(const StepGraph& graph, const Plan& plan);

}  // namespace tidemark
