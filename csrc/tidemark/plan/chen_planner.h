// Chen et al. 2016, "Training deep nets with sublinear memory cost" (arXiv 1604.06174).
//
//   Algorithm 3    walk the stages, add up what they make (temp); where temp exceeds b at a
//                  candidate, keep it and begin anew. Ours: stages.h's borders are the candidates.
//   Appendix A     the search over b as memonger does it: b = 0, then b = sqrt(x * y) three times
//                  (x bytes kept, y the largest segment), then six values around the last.
//   Section 4.4    recursion: k states, every segment in between by the same rule; g(n) = k +
//                  g(n / (k + 1)). k = 1 needs log2(n) states and n log2(n) forwards.
//
// Neither looks at costs or at a budget: the candidates are the same whatever the budget is, and
// the cheapest that fits is taken.
#pragma once

#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/stages.h"

namespace tidemark {

// Returns where segments begin that Algorithm 3 finds with threshold `b`.
TIDEMARK_API std::vector<int> chen_borders(const std::vector<Stage>& stages, Bytes b);

// Returns the schedule of the recursion with `k` states per level.
TIDEMARK_API Schedule chen_recursion(const Problem& problem, const std::vector<Stage>& stages,
                                     int k);

// Returns the schedules of the search over b, and those of the recursion.
TIDEMARK_API std::vector<Schedule> chen_schedules(const Problem& problem);

}  // namespace tidemark
