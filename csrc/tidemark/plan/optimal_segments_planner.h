// Feng and Huang 2021, "Optimal gradient checkpoint search for arbitrary computation graphs"
// (CVPR), for general chains: their linear case, with the borders of stages.h as vertices.
//
// For every candidate c of the largest segment: the path of borders with the fewest bytes kept
// whose segments are all within c (their accessibility graph and shortest path). Theirs is the
// minimum over c of kept + c; ours offers the path of every c, and the cheapest that fits is taken.
#pragma once

#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/stages.h"

namespace tidemark {

// Returns where segments begin so that none is above `c` bytes and the fewest bytes are kept.
TIDEMARK_API std::vector<int> cheapest_borders(const std::vector<Stage>& stages, Bytes c);

TIDEMARK_API std::vector<Schedule> optimal_segment_schedules(const Problem& problem);

}  // namespace tidemark
