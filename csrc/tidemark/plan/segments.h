// Segments: the classical square-root schedules (Chen et al. 2016), cut where the graph is thin.
//
// The forward ops are split into segments; what crosses a border is kept, everything inside a
// segment is dropped and computed again in one go at the first unpack that wants any of it. Each
// segment is computed again once, whatever the order in which its values are wanted.
#pragma once

#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

enum class SegmentWeight { kOps, kBytes };

// Returns the schedule with about `num_segments` segments of equal weight, their borders moved to
// the thinnest place nearby (an articulation point where there is one). The last segment is kept.
TIDEMARK_API Schedule segment_schedule(const Problem& problem, int num_segments,
                                       SegmentWeight weight);

// Returns the numbers of segments worth trying: around the square root of the forward ops.
TIDEMARK_API std::vector<int> segment_counts(const Problem& problem);

// Returns the schedules of all these numbers, by both weights.
TIDEMARK_API std::vector<Schedule> segment_schedules(const Problem& problem);

}  // namespace tidemark
