// Two five-event steps for tests that count bytes by hand.
#pragma once

#include "tidemark/graph/graph.h"

namespace tidemark::testing {

inline Value made(BlockIndex block, Bytes bytes, EventIndex producer, std::vector<Interval> holds) {
  Value value;
  value.block = block;
  value.bytes = bytes;
  value.producer = producer;
  value.holds = std::move(holds);
  return value;
}

inline Event op(std::string name, Phase phase, std::vector<ValueIndex> inputs,
                std::vector<ValueIndex> outputs) {
  Event event;
  event.name = std::move(name);
  event.phase = phase;
  event.cost_ns = 5;
  event.inputs = std::move(inputs);
  event.outputs = std::move(outputs);
  return event;
}

inline Event unpack(std::vector<HandleNumber> handles, std::vector<ValueIndex> values) {
  Event event;
  event.kind = EventKind::kUnpack;
  event.name = "Backward0";
  event.phase = Phase::kBackward;
  event.handles = std::move(handles);
  event.values = std::move(values);
  return event;
}

// x(10 bytes) -> a(100, saved) -> b(100); an op with 7 bytes of workspace; a is unpacked and read.
inline StepGraph chain() {
  StepGraph graph;
  graph.values = {made(0, 10, kNone, {{0, 5}}), made(1, 100, 0, {{0, 2}, {3, 5}}),
                  made(2, 100, 1, {{1, 5}}), made(3, 20, 4, {{4, 5}})};
  graph.values[1].handles = {{0, 1, 5}};
  graph.entry.blocks = {0};
  graph.entry.bytes_by_category[static_cast<int>(Category::kOther)] = 10;
  graph.events = {op("first", Phase::kForward, {0}, {1}), op("second", Phase::kForward, {1}, {2}),
                  op("sum", Phase::kForward, {2}, {}), unpack({0}, {1}),
                  op("grad", Phase::kBackward, {1, 2}, {3})};
  graph.events[2].workspace_bytes = 7;
  return graph;
}

// x(10) -> a(100), written in place to a' (saved) -> s(8); a' is unpacked and read.
inline StepGraph in_place_chain() {
  StepGraph graph;
  graph.values = {made(0, 10, kNone, {{0, 5}}), made(1, 100, 0, {{0, 2}}),
                  made(1, 100, 1, {{1, 3}, {3, 5}}), made(2, 8, 2, {{2, 5}})};
  graph.values[1].overwritten_at = 1;
  graph.values[2].version = 1;
  graph.values[2].holds = {{1, 3}, {3, 5}};
  graph.values[2].handles = {{0, 1, 5}};
  graph.entry.blocks = {0};
  graph.entry.bytes_by_category[static_cast<int>(Category::kOther)] = 10;
  graph.events = {op("first", Phase::kForward, {0}, {1}), op("relu_", Phase::kForward, {1}, {2}),
                  op("sum", Phase::kForward, {2}, {3}), unpack({0}, {2}),
                  op("grad", Phase::kBackward, {2, 3}, {})};
  graph.events[1].in_place = {{1, 2}};
  return graph;
}

}  // namespace tidemark::testing
