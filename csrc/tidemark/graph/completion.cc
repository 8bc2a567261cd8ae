#include "tidemark/graph/completion.h"

#include <limits>

namespace tidemark {
namespace {

bool is_value(const StepGraph& graph, ValueIndex v) { return v >= 0 && v < graph.num_values(); }

// The events that use each value, in order.
std::vector<std::vector<EventIndex>> find_uses(const StepGraph& graph) {
  std::vector<std::vector<EventIndex>> uses(graph.values.size());
  for (EventIndex e = 0; e < graph.num_events(); ++e) {
    const Event& event = graph.events[static_cast<std::size_t>(e)];
    for (const auto* list : {&event.inputs, &event.values}) {
      for (ValueIndex v : *list) {
        if (is_value(graph, v)) uses[static_cast<std::size_t>(v)].push_back(e);
      }
    }
  }
  return uses;
}

std::vector<Interval> holds_of_source(const Value& value, const std::vector<EventIndex>& uses,
                                      EventIndex num_events) {
  const bool is_whole = uses.empty() || value.persistent;
  return {{0, is_whole ? num_events : uses.back() + 1}};
}

std::vector<Interval> holds_of_product(const Value& value, const std::vector<EventIndex>& uses,
                                       EventIndex num_events) {
  std::vector<Interval> holds = {{value.producer, value.producer + 1}};
  for (EventIndex use : uses) {
    // A use before the producer or twice in one event is a mistake that check() names better.
    if (use >= holds.back().end) holds.push_back({use, use + 1});
  }
  const bool is_kept_to_end = value.persistent && value.overwritten_at == kNone;
  if (is_kept_to_end) holds.back().end = num_events;
  return holds;
}

}  // namespace

void complete_holds(StepGraph& graph) {
  const auto uses = find_uses(graph);
  for (std::size_t v = 0; v < graph.values.size(); ++v) {
    Value& value = graph.values[v];
    if (!value.holds.empty()) continue;
    value.holds = value.producer == kNone ? holds_of_source(value, uses[v], graph.num_events())
                                          : holds_of_product(value, uses[v], graph.num_events());
  }
}

void complete_entry(StepGraph& graph) {
  for (const Value& value : graph.values) {
    if (value.producer != kNone) continue;
    graph.entry.blocks.push_back(value.block);
    Bytes& sum = graph.entry.bytes_by_category[static_cast<std::size_t>(value.category)];
    // check() refuses graphs whose sizes are negative or overflow; here they must only not trap.
    if (value.bytes > 0 && sum <= std::numeric_limits<Bytes>::max() - value.bytes) {
      sum += value.bytes;
    }
  }
}

}  // namespace tidemark
