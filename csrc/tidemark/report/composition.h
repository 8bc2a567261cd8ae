// What lies in memory at one moment of a step, value by value.
//
// The simulator says how many bytes are live; a Composition says whose they are. It lists the
// values that lie in memory once everything that happens at one event has happened: values as the
// program holds them, values kept for backward, and values a plan has computed again. What the
// event needs on top (workspace of an op, temporaries of a replay) belongs to no value; the report
// shows it as the difference to the simulated peak.
//
// Pure functions of their arguments; may be called from any thread.
#pragma once

#include <string>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/graph/graph.h"
#include "tidemark/plan/plan.h"

namespace tidemark {

// A value that lies in memory. A restored value lies in a block of its own, beside its old block.
struct ResidentValue {
  ValueIndex value = kNone;
  bool is_restored = false;
  bool operator==(const ResidentValue&) const = default;
};

// Returns the values that lie in memory at `event` when `plan` is followed, in order of value. A
// block appears once, as its newest version.
// REQUIRES: `plan` is valid for `graph`, and 0 <= event < graph.num_events().
TIDEMARK_API std::vector<ResidentValue> resident_values(const StepGraph& graph, const Plan& plan,
                                                        EventIndex event);

// The name people know a value by: its own scope ("h.3.attn.weight"), else that of the op that made
// it, else its category: "(Optstate)".
TIDEMARK_API std::string scope_of(const StepGraph& graph, ValueIndex value);

}  // namespace tidemark
