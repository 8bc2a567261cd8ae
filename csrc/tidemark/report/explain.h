// explain: why a plan keeps what it keeps, and what more memory would buy.
//
//   Explanation why = explain(graph, plan);
//   log << to_text(why);
//
// It reads the plan and the graph; only what the next budgets would buy is planned anew. Pure
// functions on plain data; may be used from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/graph/graph.h"
#include "tidemark/plan/plan.h"
#include "tidemark/plan/planner.h"

namespace tidemark {

enum class Fate : std::uint8_t {
  kKept,
  kRecomputed,
  kPinned,  // kept because it cannot be computed again
};

TIDEMARK_API std::string_view to_string(Fate fate) noexcept;

// One value that backward wants.
struct ValueStory {
  ValueIndex value = kNone;
  Fate fate = Fate::kKept;
  std::string op;
  std::string scope;
  std::string source;
  Bytes bytes = 0;
  bool is_at_peak = false;     // waits through the unplanned peak: its bytes count there
  std::int64_t num_times = 0;  // computed again
  Nanoseconds again_ns = 0;    // what that costs in all; for a kept value: what it would cost once,
                               // with all that is not there under this plan
  std::string why;             // one sentence
  bool operator==(const ValueStory&) const = default;
};

// What a group of ops gives and takes: bytes of its values that are dropped, time to have them
// again.
struct Trade {
  std::string name;
  Bytes dropped_bytes = 0;
  Nanoseconds recompute_ns = 0;
  std::int64_t num_replays = 0;
  bool operator==(const Trade&) const = default;
};

// What a larger budget would do.
struct BudgetStep {
  Bytes budget_bytes = 0;
  Nanoseconds recompute_ns = 0;
  bool operator==(const BudgetStep&) const = default;
};

struct Explanation {
  Bytes budget_bytes = 0;
  Bytes peak_bytes = 0;
  Bytes unplanned_peak_bytes = 0;
  Nanoseconds step_ns = 0;
  Nanoseconds recompute_ns = 0;
  // The op that sets the peak.
  EventIndex peak_event = 0;
  std::string peak_op;
  std::string peak_scope;
  std::string peak_source;
  std::vector<ValueStory> values;  // largest first
  std::int64_t num_left_out = 0;   // values beyond ExplainOptions::max_values
  std::vector<Trade> by_op;        // fewest bytes per time first: what more memory buys back first
  std::vector<Trade> by_scope;     // likewise, the first two names of the module path
  std::vector<BudgetStep> next;    // ascending budgets above the plan's
  bool operator==(const Explanation&) const = default;
};

struct ExplainOptions {
  std::string scope;     // only values of this module and of those below it; "": all
  int max_values = 20;   // at most so many
  PlanOptions planning;  // for the next budgets
};

// Throws std::invalid_argument if the plan names what the graph does not have, or if no value that
// backward wants is in options.scope.
// REQUIRES: `plan` was made for `graph`.
TIDEMARK_API Explanation explain(const StepGraph& graph, const Plan& plan,
                                 const ExplainOptions& options = {});

TIDEMARK_API std::string to_text(const Explanation& explanation);
TIDEMARK_API std::string to_json(const Explanation& explanation);

}  // namespace tidemark
