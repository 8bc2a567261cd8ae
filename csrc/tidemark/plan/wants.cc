#include "tidemark/plan/wants.h"

#include <algorithm>
#include <utility>

namespace tidemark {
namespace {

constexpr int kLongestChain = 96;

using Lists = std::vector<std::vector<ValueIndex>>;

std::vector<char> find_managed(const StepGraph& graph) {
  std::vector<char> is_managed;
  is_managed.reserve(graph.values.size());
  for (const Value& value : graph.values)
    is_managed.push_back(value.producer != kNone && !value.holds.empty());
  return is_managed;
}

Lists find_parents(const Problem& problem, const std::vector<char>& is_managed) {
  const StepGraph& graph = problem.graph();
  Lists parents(graph.values.size());
  for (ValueIndex v = 0; v < graph.num_values(); ++v) {
    if (graph.values[v].producer == kNone) continue;
    for (ValueIndex input : problem.reads(graph.values[v].producer))
      if (is_managed[input]) parents[v].push_back(input);
  }
  return parents;
}

Lists find_children(const Problem& problem, const std::vector<char>& is_managed) {
  Lists children(problem.graph().values.size());
  for (ValueIndex v = 0; v < problem.graph().num_values(); ++v)
    for (EventIndex reader : problem.readers(v))
      for (ValueIndex output : problem.restores(reader))
        if (is_managed[output]) children[v].push_back(output);
  return children;
}

}  // namespace

Relatives::Relatives(const Problem& problem)
    : is_managed(find_managed(problem.graph())),
      parents(find_parents(problem, is_managed)),
      children(find_children(problem, is_managed)) {}

Wants::Wants(const Problem& problem, const Relatives& relatives)
    : graph_(problem.graph()), relatives_(relatives) {
  const std::size_t num_values = graph_.values.size();
  is_missing_.assign(num_values, 0);
  own_want_.assign(num_values, kNever);
  next_.assign(num_values, kNever);
  is_next_known_.assign(num_values, 0);
  is_changed_.assign(num_values, 0);
  visited_.assign(num_values, 0);
  visited_ops_.assign(graph_.events.size(), 0);
}

void Wants::set_missing(ValueIndex v, bool is_missing) {
  if (is_missing_[v] == static_cast<char>(is_missing)) return;
  is_missing_[v] = static_cast<char>(is_missing);
  flipped_.push_back(v);
}

void Wants::set_own_want(ValueIndex v, EventIndex event) {
  if (own_want_[v] == event) return;
  own_want_[v] = event;
  // Those it is computed from see its wants only while it is missing.
  if (is_missing_[v]) flipped_.push_back(v);
  is_next_known_[v] = 0;
  mark_changed(v);
}

void Wants::mark_changed(ValueIndex v) {
  if (std::exchange(is_changed_[v], 1) == 0) changed_.push_back(v);
}

// Ancestors, up to the first that are there, are wanted for the sake of what is missing below.
void Wants::propagate_up(ValueIndex v) {
  stack_.assign(1, v);
  while (!stack_.empty()) {
    const ValueIndex here = stack_.back();
    stack_.pop_back();
    for (ValueIndex parent : relatives_.parents[here]) {
      // Unknown already: then so are those above it, since knowing them would have asked it.
      if (is_missing_[parent] && !is_next_known_[parent]) continue;
      is_next_known_[parent] = 0;
      mark_changed(parent);
      if (is_missing_[parent]) stack_.push_back(parent);
    }
  }
}

// Descendants, down to the first that are there, have a longer or shorter chain to be had again:
// those that are so near that it counts.
void Wants::propagate_down() {
  stack_ = flipped_;
  for (int length = 0; length < kLongestChain && !stack_.empty(); ++length) {
    next_stack_.clear();
    for (ValueIndex here : stack_) {
      for (ValueIndex child : relatives_.children[here]) {
        if (std::exchange(visited_[child], visit_) == visit_) continue;
        mark_changed(child);
        if (is_missing_[child]) next_stack_.push_back(child);
      }
    }
    std::swap(stack_, next_stack_);
  }
}

void Wants::propagate() {
  if (flipped_.empty()) return;
  ++visit_;
  for (ValueIndex v : flipped_) {
    is_next_known_[v] = 0;
    mark_changed(v);
    propagate_up(v);
  }
  propagate_down();
  flipped_.clear();
}

EventIndex Wants::find_next(ValueIndex v) {
  if (is_next_known_[v]) return next_[v];
  EventIndex first = own_want_[v];
  for (ValueIndex child : relatives_.children[v])
    if (is_missing_[child]) first = std::min(first, find_next(child));
  is_next_known_[v] = 1;
  return next_[v] = first;
}

EventIndex Wants::next(ValueIndex v) {
  propagate();
  return find_next(v);
}

double Wants::cost_ns(ValueIndex v) {
  ++visit_;
  stack_.assign(1, v);
  visited_ops_[graph_.values[v].producer] = visit_;
  double cost = 0;
  for (int length = 0; !stack_.empty() && length < kLongestChain; ++length) {
    const ValueIndex here = stack_.back();
    stack_.pop_back();
    cost += static_cast<double>(graph_.events[graph_.values[here].producer].cost_ns);
    for (ValueIndex parent : relatives_.parents[here]) {
      if (!is_missing_[parent]) continue;
      int& visited = visited_ops_[graph_.values[parent].producer];
      if (std::exchange(visited, visit_) != visit_) stack_.push_back(parent);
    }
  }
  return cost;
}

std::vector<ValueIndex> Wants::take_changed() {
  propagate();
  for (ValueIndex v : changed_) is_changed_[v] = 0;
  return std::exchange(changed_, {});
}

}  // namespace tidemark
