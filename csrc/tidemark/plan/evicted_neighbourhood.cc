#include "tidemark/plan/evicted_neighbourhood.h"

#include <algorithm>

namespace tidemark {

template <typename Visit>
void EvictedNeighbourhood::visit_neighbours(ValueIndex v, Visit visit) const {
  const EventIndex producer = problem_.graph().values[v].producer;
  if (producer == kNone) return;
  for (ValueIndex input : problem_.reads(producer)) visit(input);
  for (EventIndex reader : problem_.readers(v))
    for (ValueIndex output : problem_.restores(reader)) visit(output);
}

Nanoseconds EvictedNeighbourhood::own_cost(ValueIndex v) const {
  return problem_.graph().events[problem_.graph().values[v].producer].cost_ns;
}

ValueIndex EvictedNeighbourhood::root_of(ValueIndex v) {
  while (parent_[v] != v) v = parent_[v] = parent_[parent_[v]];
  return v;
}

void EvictedNeighbourhood::join(ValueIndex a, ValueIndex b) {
  a = root_of(a);
  b = root_of(b);
  if (a == b) return;
  parent_[b] = a;
  cost_[a] += cost_[b];
}

void EvictedNeighbourhood::evict(ValueIndex v) {
  if (is_evicted(v) || problem_.graph().values[v].producer == kNone) return;
  is_evicted_[v] = 1;
  cost_[root_of(v)] += own_cost(v);
  visit_neighbours(v, [&](ValueIndex other) {
    if (is_evicted(other)) join(v, other);
  });
}

void EvictedNeighbourhood::bring_back(ValueIndex v) {
  if (!is_evicted(v)) return;
  is_evicted_[v] = 0;
  cost_[root_of(v)] -= own_cost(v);
}

Nanoseconds EvictedNeighbourhood::cost_beside(ValueIndex v) {
  roots_.clear();
  Nanoseconds cost = 0;
  visit_neighbours(v, [&](ValueIndex other) {
    if (!is_evicted(other)) return;
    const ValueIndex root = root_of(other);
    if (std::ranges::find(roots_, root) != roots_.end()) return;
    roots_.push_back(root);
    cost += cost_[root];
  });
  return cost;
}

}  // namespace tidemark
