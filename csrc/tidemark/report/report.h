// A Report answers, in words and numbers, what people ask about a step and its plan: does it fit,
// how much slower is it, how far is that from the best possible, and what lies in memory at the
// peak.
//
// It is made from the graph and the plan alone; what only a run can know (the measured peak, how
// many steps were planned) is added when given. It does not plan, simulate at length or print: the
// text goes wherever the caller sends it.
//
// Plain data and pure functions; may be used from any thread.
//
//   Report report = make_report(graph, plan);
//   log << to_text(report);      // three lines answer, a table explains, one line says what next
//   file << to_json(report);     // the same, complete and in bytes
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/graph/graph.h"
#include "tidemark/plan/plan.h"
#include "tidemark/report/sharing.h"

namespace tidemark {

// How many steps of each kind a run has had.
struct StepCounts {
  std::int64_t watched = 0;   // recorded, held to the budget as it went
  std::int64_t planned = 0;   // followed a plan to the byte
  std::int64_t adapted = 0;   // followed a plan made for other sizes
  std::int64_t diverged = 0;  // left its plan at some op
  bool operator==(const StepCounts&) const = default;
};

// What a step makes or finds of one category, if nothing ever lay where something else had lain.
struct Pool {
  Bytes value_bytes = 0;  // with memory for every version of every block
  Bytes block_bytes = 0;  // after in-place ops, which write over the version before
  bool operator==(const Pool&) const = default;
};

// The arena that was laid out for a run's steps.
struct ArenaBytes {
  std::string why_not;    // why the last step was not served from it; empty if it was
  Bytes block_bytes = 0;  // of the blocks that one step has in it, each by itself
  Bytes height = 0;       // of the arena, in which they share addresses
  Bytes lower_bound = 0;  // no arena for them is lower
  // How far the height is above the lower bound, as a share of it.
  double gap() const noexcept {
    if (lower_bound == 0) return 0;
    return static_cast<double>(height - lower_bound) / static_cast<double>(lower_bound);
  }
  bool operator==(const ArenaBytes&) const = default;
};

// Bytes that lie at the peak under one module path.
struct ScopeBytes {
  std::string scope;
  Bytes bytes = 0;
  bool operator==(const ScopeBytes&) const = default;
};

// One value that lies in memory at the peak.
struct PeakValue {
  ValueIndex value = kNone;
  Bytes bytes = 0;
  Category category = Category::kOther;
  std::string op;      // the op that made it, "" for what existed before the step
  std::string scope;   // module or parameter path; its category, "(Optstate)", if there is none
  std::string source;  // "file.py:12" of the op that made it, "" if unknown
  bool is_restored = false;
  bool operator==(const PeakValue&) const = default;
};

// The worst moment of a step.
struct Peak {
  Bytes bytes = 0;
  EventIndex event = 0;
  std::string op;
  std::string phase;
  std::string scope;
  std::string source;
  std::array<Bytes, kNumCategories> by_category{};
  Bytes untouched_bytes = 0;  // live blocks that the step neither touches nor lets die
  Bytes workspace_bytes = 0;  // needed by the op itself: workspace and temporaries of replays
  std::vector<ScopeBytes> by_scope;  // largest first, at most ReportOptions::max_scopes
  std::vector<PeakValue> largest;    // largest first, at most ReportOptions::max_values
  bool operator==(const Peak&) const = default;
};

struct Report {
  // Does it fit?
  std::optional<Bytes> budget_bytes;  // none: a report of the step as recorded
  Bytes unplanned_peak_bytes = 0;
  Bytes floor_bytes = 0;  // no plan runs in less; 0 if unknown
  std::optional<Bytes> least_feasible_bytes;
  bool fits = true;

  // How much slower?
  Nanoseconds step_ns = 0;
  Nanoseconds recompute_ns = 0;
  double overhead = 0;  // recompute_ns / step_ns

  // How sure, and how far from the best possible?
  Nanoseconds lower_bound_ns = 0;
  double gap = 0;  // the step takes at most 1 + gap times what the best possible plan takes
  bool is_estimate = false;

  // Where the memory goes.
  Peak peak;
  std::array<Pool, kNumCategories> pools{};
  Sharing sharing;
  std::string policy;
  Wishes wishes;  // of the user, all honoured
  std::int64_t num_ops = 0;
  std::int64_t num_values = 0;
  std::int64_t num_replays = 0;  // ops computed again
  std::int64_t num_dropped = 0;  // values given back for a time
  Bytes dropped_bytes = 0;       // their bytes
  std::int64_t num_pinned = 0;   // ops that must not be computed again

  // What a run has shown.
  std::optional<StepCounts> steps;
  std::optional<Bytes> measured_peak_bytes;
  std::optional<ArenaBytes> arena;

  std::string next;  // what to do now, one sentence
  bool operator==(const Report&) const = default;
};

struct ReportOptions {
  // Show at most
  int max_scopes = 8;  // module paths at the peak
  int max_values = 8;  // values at the peak

  // What a run has shown, if it has run
  std::optional<StepCounts> steps;
  std::optional<Bytes> measured_peak_bytes;
  std::optional<ArenaBytes> arena;
};

// Returns the report of `plan` for `graph`.
// Throws std::invalid_argument if an event or value that the plan names is not in the graph.
// REQUIRES: `plan` was made for `graph`.
TIDEMARK_API Report make_report(const StepGraph& graph, const Plan& plan,
                                const ReportOptions& options = {});

// Returns the report of the step as recorded, everything kept.
TIDEMARK_API Report make_report(const StepGraph& graph, const ReportOptions& options = {});

// Returns the report for people: about thirty lines, module paths cut to fit, ending in a newline.
TIDEMARK_API std::string to_text(const Report& report);

// Returns the report for programs: one JSON object, sizes in bytes, times in nanoseconds.
TIDEMARK_API std::string to_json(const Report& report);

}  // namespace tidemark
