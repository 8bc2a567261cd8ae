// The other objective: the least memory that a slowdown buys, and the largest batch that fits.
#pragma once

#include <cstdint>

#include "tidemark/base/result.h"
#include "tidemark/graph/graph.h"
#include "tidemark/plan/planner.h"

namespace tidemark {

// Returns the plan of the least peak found whose step takes at most `max_slowdown` times as long as
// the unplanned one. Its budget is its peak. Always exists: 1 keeps everything, unless
// options.wishes forbid that.
// Throws std::invalid_argument for a slowdown below 1 or below what options.wishes cost, and as
// plan() does.
TIDEMARK_API Result<Plan, PlanFailure> least_memory_plan(const StepGraph& graph,
                                                         double max_slowdown,
                                                         const PlanOptions& options = {});

// One step recorded at a known batch.
struct StepAtBatch {
  const StepGraph& graph;
  std::int64_t batch = 0;
};

// Returns the step at `batch`: sizes and costs are linear in the batch, through the two given. Its
// shapes are left out.
// Throws std::invalid_argument naming the first difference unless the two are the same ops on other
// sizes, and unless all three batches are positive and the first two differ.
TIDEMARK_API StepGraph step_at_batch(const StepAtBatch& a, const StepAtBatch& b,
                                     std::int64_t batch);

struct MaxBatch {
  std::int64_t batch = 0;            // 0: not even one sample fits
  std::int64_t unplanned_batch = 0;  // that fits with everything kept
  Plan plan;                         // for the step at `batch`
};

// Returns the largest batch with a plan within `budget` that takes at most `max_slowdown` times as
// long as the unplanned step of that batch.
TIDEMARK_API MaxBatch max_batch(const StepAtBatch& a, const StepAtBatch& b, Bytes budget,
                                double max_slowdown, const PlanOptions& options = {});

}  // namespace tidemark
