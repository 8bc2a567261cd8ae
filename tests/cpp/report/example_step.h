// A step small enough to follow by hand, for the tests of this folder.
//
// A weight of 100 bytes; two forward ops make a (1000 bytes) and b (400 bytes), the loss reads b.
// Backward unpacks a, then frees it. The workspace of the last op is 50 bytes.
//
//   event      0 mm      1 relu    2 loss      3 unpack   4 mm_backward
//   a          |holds--------|      (gap)       |hold-----|
//   b                    |holds----------|
#pragma once

#include "tidemark/graph/graph.h"
#include "tidemark/plan/plan.h"

namespace tidemark {

inline Event example_op(std::string name, Phase phase, std::string scope,
                        std::vector<ValueIndex> inputs, std::vector<ValueIndex> outputs) {
  Event event;
  event.name = std::move(name);
  event.phase = phase;
  event.scope = std::move(scope);
  event.inputs = std::move(inputs);
  event.outputs = std::move(outputs);
  event.cost_ns = 1000;
  event.shapes.assign(event.outputs.size(), "f32[1]");
  return event;
}

inline Value example_value(BlockIndex block, Bytes bytes, Category category, EventIndex producer,
                           std::vector<Interval> holds) {
  Value value;
  value.block = block;
  value.bytes = bytes;
  value.category = category;
  value.producer = producer;
  value.holds = std::move(holds);
  return value;
}

inline StepGraph example_step() {
  StepGraph graph;
  graph.events = {example_op("aten::mm", Phase::kForward, "net.0", {0}, {1}),
                  example_op("aten::relu", Phase::kForward, "net.1", {1}, {2}),
                  example_op("aten::sum", Phase::kForward, "", {2}, {3}), Event{},
                  example_op("aten::mm", Phase::kBackward, "net.0", {1}, {4})};
  graph.events[0].source = "train.py:12";
  graph.events[3].kind = EventKind::kUnpack;
  graph.events[3].name = "MmBackward0";
  graph.events[3].phase = Phase::kBackward;
  graph.events[3].handles = {0};
  graph.events[3].values = {1};
  graph.events[4].workspace_bytes = 50;
  graph.values = {example_value(0, 100, Category::kParameter, kNone, {{0, 5}}),
                  example_value(1, 1000, Category::kActivation, 0, {{0, 2}, {3, 5}}),
                  example_value(2, 400, Category::kTemp, 1, {{1, 3}}),
                  example_value(3, 4, Category::kOther, 2, {{2, 5}}),
                  example_value(4, 100, Category::kGradient, 4, {{4, 5}})};
  graph.values[0].persistent = true;
  graph.values[0].scope = "net.0.weight";
  graph.values[1].handles = {{0, 0, 5}};
  graph.values[4].persistent = true;
  graph.entry.blocks = {0};
  graph.entry.bytes_by_category[static_cast<std::size_t>(Category::kParameter)] = 100;
  graph.entry.other_bytes = 30;
  return graph;
}

// `a` is given back after relu and computed again at the unpack.
inline Plan example_plan() {
  Plan plan;
  plan.policy = "by hand";
  plan.budget_bytes = 1600;
  plan.actions = {{1, {{ActionKind::kDrop, 1}}}, {3, {{ActionKind::kReplay, 0}}}};
  plan.peak_bytes = 1530;
  plan.peak_event = 1;
  plan.unplanned_peak_bytes = 1534;
  plan.floor_bytes = 1284;
  plan.step_ns = 4000;
  plan.recompute_ns = 1000;
  plan.lower_bound_ns = 500;
  plan.num_replays = 1;
  return plan;
}

}  // namespace tidemark
