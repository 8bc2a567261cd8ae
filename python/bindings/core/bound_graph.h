// A StepGraph as Python holds it. It never changes, so what Python asks for again and again is
// worked out once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "tidemark/graph/graph.h"
#include "tidemark/plan/signature.h"
#include "tidemark/plan/simulate.h"

namespace tidemark::bindings {

struct BoundGraph {
  explicit BoundGraph(StepGraph step) : graph(std::move(step)), hash(graph_hash(graph)) {
    const Simulation unplanned = simulate(graph);
    peak_bytes = unplanned.peak_bytes;
    step_ns = unplanned.step_ns;
    num_ops = std::count_if(graph.events.begin(), graph.events.end(),
                            [](const Event& event) { return event.kind == EventKind::kOp; });
  }

  StepGraph graph;
  std::uint64_t hash;
  Bytes peak_bytes = 0;
  Nanoseconds step_ns = 0;
  std::int64_t num_ops = 0;
};

}  // namespace tidemark::bindings
