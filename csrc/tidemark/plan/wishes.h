// Wishes: what a user wants kept, or computed again, whatever a planner thinks of it.
//
// A pattern names forward ops, in one of three ways, with * for any text:
//   a module path     "lm_head", "h.*.mlp": the ops of that module and of all below it
//   an op             "aten::gelu" or "gelu", without its overload
//   a category        "Activation", "Temp", ...: the ops that make values of it
//
// keep: the ops never run again, so all that backward wants of them stays. recompute: all that
// backward wants of the ops is dropped in every gap where it can be. A wish that cannot be honoured
// is an error, never a plan without it.
#pragma once

#include <string_view>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/graph/graph.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/plan.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

// Which ops the patterns name, per event.
struct WishedOps {
  std::vector<char> is_kept;
  std::vector<char> is_recomputed;
};

// Returns whether the pattern names the op at `event`.
TIDEMARK_API bool is_named(const StepGraph& graph, EventIndex event, std::string_view pattern);

// Throws std::invalid_argument where a pattern names no forward op, where an op is named by both
// lists, and where an op to recompute cannot be computed again or nothing of it can be dropped.
TIDEMARK_API WishedOps find_wished_ops(const StepGraph& graph, const Wishes& wishes);

// Returns the graph with the ops to keep pinned. Its plans are plans of `graph`.
TIDEMARK_API StepGraph with_kept_ops(StepGraph graph, const WishedOps& ops);

// Returns the graph with the ops to recompute at no cost, so that planners take them first.
TIDEMARK_API StepGraph with_free_ops(StepGraph graph, const WishedOps& ops);

// Returns `schedule` with replays added so that every value of an op to recompute leaves memory in
// each of its gaps.
TIDEMARK_API Schedule with_recomputed_ops(const Problem& problem, const WishedOps& ops,
                                          const Schedule& schedule);

// Returns what the ops to recompute cost if each runs again once: no plan that honours the wishes
// costs less.
TIDEMARK_API Nanoseconds cost_of_recomputed_ops(const Problem& problem, const WishedOps& ops);

}  // namespace tidemark
