#include "tidemark/graph/graph.h"

#include <stdexcept>
#include <string>

namespace tidemark {

std::string_view to_string(EventKind kind) noexcept {
  switch (kind) {
    case EventKind::kOp:
      return "op";
    case EventKind::kUnpack:
      return "unpack";
    case EventKind::kHost:
      return "host";
  }
  return "unknown";
}

std::string_view to_string(Phase phase) noexcept {
  switch (phase) {
    case Phase::kForward:
      return "forward";
    case Phase::kBackward:
      return "backward";
    case Phase::kOptimizer:
      return "optimizer";
    case Phase::kOther:
      return "other";
  }
  return "unknown";
}

std::string_view to_string(Category category) noexcept {
  switch (category) {
    case Category::kParameter:
      return "Parameter";
    case Category::kBuffer:
      return "Buffer";
    case Category::kGradient:
      return "Gradient";
    case Category::kActivation:
      return "Activation";
    case Category::kTemp:
      return "Temp";
    case Category::kOptstate:
      return "Optstate";
    case Category::kOther:
      return "Other";
  }
  return "unknown";
}

bool is_actionable(const StepGraph& graph, EventIndex event) {
  if (event < 0 || event >= graph.num_events()) {
    throw std::invalid_argument("is_actionable: event " + std::to_string(event) +
                                " of a graph with " + std::to_string(graph.num_events()) +
                                " events");
  }
  const Event& ev = graph.events[static_cast<std::size_t>(event)];
  if (!graph.has_runtime_actions) return ev.kind == EventKind::kOp;
  if (ev.kind == EventKind::kUnpack) return true;
  return ev.kind == EventKind::kOp && ev.phase != Phase::kBackward;
}

}  // namespace tidemark
