#include "tidemark/plan/closure.h"

#include <algorithm>

namespace tidemark {

Closure::Closure(Residency& residency)
    : residency_(residency),
      graph_(residency.problem().graph()),
      visited_(graph_.events.size(), 0) {}

bool Closure::can_stay_within(ValueIndex v, EventIndex at, Bytes budget) const {
  if (!residency_.can_stay(v, at)) return false;
  const int begin = residency_.last_point_before(v, at);
  return residency_.tree().most_in(begin, 2 * at + 1) + graph_.values[v].bytes <= budget;
}

// Adds the ops that must run for what `op` reads.
bool Closure::add_reads(EventIndex op, EventIndex at, Bytes budget) {
  const Problem& problem = residency_.problem();
  for (ValueIndex v : problem.reads(op)) {
    if (residency_.is_there(v, at)) continue;
    const EventIndex producer = graph_.values[v].producer;
    if (producer == kNone) return false;
    if (visited_[producer] == visit_ || residency_.is_listed(at, producer)) continue;
    if (can_stay_within(v, at, budget)) continue;
    const auto& restored = problem.restores(producer);
    if (std::ranges::find(restored, v) == restored.end()) return false;
    visited_[producer] = visit_;
    ops_.push_back(producer);
  }
  return true;
}

bool Closure::find(std::span<const EventIndex> ops, EventIndex at, Bytes budget, double most_cost) {
  ops_.assign(ops.begin(), ops.end());
  cost_ns_ = 0;
  is_too_dear_ = false;
  ++visit_;
  for (EventIndex op : ops) visited_[op] = visit_;
  // NOLINTNEXTLINE(modernize-loop-convert): there are more and more
  for (std::size_t next = 0; next < ops_.size(); ++next) {
    const EventIndex here = ops_[next];
    if (!residency_.problem().is_replayable(here) || here >= at) return false;
    cost_ns_ += graph_.events[here].cost_ns;
    residency_.add_work(1);
    is_too_dear_ = static_cast<double>(cost_ns_) > most_cost;
    if (is_too_dear_ || !add_reads(here, at, budget)) return false;
  }
  return true;
}

}  // namespace tidemark
