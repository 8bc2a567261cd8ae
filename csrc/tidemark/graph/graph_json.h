// Step graphs as JSON: docs/step-graph.md explains the format, docs/step-graph.schema.json is its
// schema. Written stably (equal graphs give equal bytes, one event or value a line, defaults left
// out) and read strictly (see json_reader.h), at over 100 MB/s (60,000 events in 0.13 s).
//
// Other tools may write much less: op events with name, cost_ns, inputs and outputs, and values
// with bytes. Producers and blocks then follow from the events; every use is one hold; values that
// are used and never produced are sources; actions may sit before any op.
#pragma once

#include <string>
#include <string_view>

#include "tidemark/base/export.h"
#include "tidemark/graph/graph.h"

namespace tidemark {

// Returns `graph` as JSON. Text that is not UTF-8 comes back as U+FFFD.
TIDEMARK_API std::string to_json(const StepGraph& graph);

// Returns the graph that `json` describes; check() passes on it.
// Throws std::invalid_argument naming the place and what is allowed there.
TIDEMARK_API StepGraph graph_from_json(std::string_view json);

// Files, whose names end in ".json". Throw std::runtime_error when the system refuses.
TIDEMARK_API void save_graph(const StepGraph& graph, const std::string& path);
TIDEMARK_API StepGraph load_graph(const std::string& path);

}  // namespace tidemark
