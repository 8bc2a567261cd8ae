// Zhao, Le Hellard, Eyraud-Dubois, Gusak and Beaumont 2023 ("Rockmate", ICML; arXiv 2307.01236):
// a chain of blocks, each with several ways to keep less of its tape, put together by Rotor's
// dynamic program. Blocks that are alike are looked at once.
//
//   theirs                     ours
//   block                      Stage
//   option of a block          StageOption (rotor_planner.h)
//   rk-Checkmate, its options  options_of(): greedy instead of integer programs, what is dropped
//                              next frees most bytes for the time it takes
//   equal blocks               equal structures: the ops' names, what they make and read of it
//
// Within a block everything dropped is computed again together, right before the block's backward.
#pragma once

#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/rotor_planner.h"
#include "tidemark/plan/stages.h"

namespace tidemark {

// The ways to keep less of the stages' tapes.
struct StageOptions {
  std::vector<std::vector<StageOption>> options;  // per stage: the whole tape first
  int num_kinds = 0;                              // stages of different structure
};

TIDEMARK_API StageOptions options_of(const Problem& problem, const std::vector<Stage>& stages);

TIDEMARK_API std::vector<Schedule> rockmate_schedules(const Problem& problem);

}  // namespace tidemark
