// A step small enough to break by hand: x -> mm -> h0, relu_ in place -> h1 (saved), loss, one
// unpack, one backward op. One gap: value 3 between events 3 and 4.
#pragma once

#include "tidemark/graph/graph.h"

namespace tidemark::testing {

inline StepGraph small_graph() {
  StepGraph graph;
  graph.events = {
      {.name = "aten::mm", .cost_ns = 10, .inputs = {0, 1}, .outputs = {2}, .shapes = {"f32[4]"}},
      {.name = "aten::relu_", .cost_ns = 1, .inputs = {2}, .outputs = {3}, .in_place = {{2, 3}}},
      {.name = "aten::sum", .cost_ns = 2, .inputs = {3}, .outputs = {4}},
      {.kind = EventKind::kHost, .name = "host", .outputs = {5}},
      {.kind = EventKind::kUnpack,
       .name = "ReluBackward0",
       .phase = Phase::kBackward,
       .handles = {0, 7},
       .values = {3}},
      {.name = "aten::threshold_backward",
       .phase = Phase::kBackward,
       .workspace_bytes = 8,
       .inputs = {4, 3},
       .outputs = {6}},
  };
  graph.values = {
      {.block = 0,
       .bytes = 64,
       .category = Category::kParameter,
       .holds = {{0, 6}},
       .persistent = true,
       .scope = "weight"},
      {.block = 1, .bytes = 32, .holds = {{0, 1}}},
      {.block = 2, .bytes = 16, .producer = 0, .holds = {{0, 1}}, .overwritten_at = 1},
      {.block = 2,
       .version = 1,
       .bytes = 16,
       .category = Category::kActivation,
       .producer = 1,
       .holds = {{1, 3}, {4, 6}},
       .handles = {{0, 1, 6}}},
      {.block = 3, .bytes = 4, .producer = 2, .holds = {{2, 6}}},
      {.block = 4, .bytes = 8, .producer = 3, .holds = {{3, 4}}},
      {.block = 5, .bytes = 16, .category = Category::kGradient, .producer = 5, .holds = {{5, 6}}},
  };
  graph.entry.bytes_by_category[0] = 64;
  graph.entry.bytes_by_category[6] = 32;
  graph.entry.blocks = {0, 1};
  return graph;
}

}  // namespace tidemark::testing
