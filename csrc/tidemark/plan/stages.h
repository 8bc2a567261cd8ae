// Stages: the forward ops of a step as a chain, for planners that know chains only.
//
// A border is a place between two forward ops; what is made before it and read by forward ops after
// it crosses it: one tensor at an articulation point, several elsewhere (an LSTM's h and c, a
// U-Net's skips). Borders lie where few bytes cross, and a stage is what lies between two of them.
// Its state is what crosses its left border, its tape what backward wants of the values made in it.
//
// A chain planner decides which stages run again before the backward of which (StageRun); emit()
// works out the rest.
#pragma once

#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

struct Stage {
  std::vector<EventIndex> ops;  // forward, ascending
  Bytes state_bytes = 0;        // what crosses into it; sources do not count
  Bytes tape_bytes = 0;         // its values that backward wants and that stay inside
  Bytes forward_bytes = 0;      // the most that one of its ops makes at once
  Bytes backward_bytes = 0;     // the most that its backward takes, what is always there aside
  Nanoseconds forward_ns = 0;
  Nanoseconds backward_ns = 0;
  EventIndex backward_event = kNone;  // the first that wants anything of it; kNone: nothing does
};

// Returns the stages of the forward pass up to the last op whose values have gaps; at most
// `most_stages`, short neighbours merged. Empty if nothing can be dropped.
TIDEMARK_API std::vector<Stage> find_stages(const Problem& problem, int most_stages);

// Writes down a chain planner's sequence of forward and backward stages.
//
// The forwards before the first backward are the step's own. A stage that ran last and was not run
// again since keeps its tape; a state is kept from its making to its last use.
class TIDEMARK_API StageRun {
 public:
  // Both must outlive this.
  StageRun(const Problem& problem, const std::vector<Stage>& stages)
      : problem_(problem), stages_(stages), reruns_(stages.size()), single_(stages.size()) {}

  void forward(int stage) { pending_.push_back(stage); }
  // `reruns`: ops of the stage that run again right before it, though its tape lies there
  // otherwise.
  void backward(int stage, std::vector<EventIndex> reruns = {});

  // Returns the schedule of the sequence.
  // REQUIRES: backward() was called once per stage, last stage first.
  Schedule schedule() const;

 private:
  std::vector<EventIndex> ops_of(const std::vector<int>& run, const std::vector<EventIndex>& single,
                                 EventIndex at) const;

  const Problem& problem_;
  const std::vector<Stage>& stages_;
  std::vector<std::vector<int>> reruns_;         // per stage: stages to run before its backward
  std::vector<std::vector<EventIndex>> single_;  // per stage: ops of it
  std::vector<int> pending_;
  bool has_turned_ = false;
};

// Returns the schedule that keeps the states at `borders` (stages that begin a segment, ascending,
// the first stage aside) and recomputes every segment but the last once, as a whole.
TIDEMARK_API Schedule segmented_schedule(const Problem& problem, const std::vector<Stage>& stages,
                                         const std::vector<int>& borders);

}  // namespace tidemark
