#include "tidemark/plan/moment.h"

namespace tidemark {

Moment::Moment(const Problem& problem, EventIndex event)
    : problem_(&problem), event_(event), is_block_pinned_(num_blocks(problem.graph()), 0) {
  const StepGraph& graph = problem.graph();
  for (ValueIndex v = 0; v < graph.num_values(); ++v)
    if (is_pinned(v)) is_block_pinned_[graph.values[v].block] = 1;
}

// Whether `v` keeps its block at the moment whatever a plan says: as pinned_curve counts it.
bool Moment::is_pinned(ValueIndex v) const {
  const Value& value = problem_->graph().values[v];
  if (value.producer >= event_) return false;
  const int first = problem_->first_restorable_gap(v);
  const int last = problem_->first_restorable_gap(v + 1);
  for (int g = first; g < last; ++g) {
    const Interval& time = problem_->restorable_gaps()[g].time;
    if (time.begin <= event_ && event_ < time.end) return false;
  }
  const bool can_go = value.producer != kNone && value.overwritten_at == kNone;
  const bool ends_with_hold = (first < last || can_go) && !value.holds.empty();
  const EventIndex end =
      ends_with_hold ? problem_->end_of(v, value.holds.back()) : problem_->natural_end(v);
  return end > event_;
}

bool Moment::is_there(ValueIndex v) const {
  const Value& value = problem_->graph().values[v];
  return value.producer == kNone || value.producer >= event_ || is_block_pinned_[value.block] != 0;
}

bool Moment::is_in(const Gap& gap) const {
  return gap.time.begin <= event_ && event_ < gap.time.end && !is_there(gap.value);
}

}  // namespace tidemark
