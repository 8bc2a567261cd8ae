// Tidemark: holds training steps to a budget in bytes. This header includes every public one.
//
//   tidemark::MemoryBudget budget{tidemark::gib(6)};         // needs LibTorch: tidemark::torch
//   { auto step = budget.step(); ... }
//
//   auto graph = tidemark::load_graph("step.json");          // does not: tidemark::core
//   auto answer = tidemark::plan(graph, tidemark::gib(6));
//
// Where the compiler finds no LibTorch headers, the planning half alone is declared. Each part can
// also be included by itself, under the names below.
#pragma once

#include "tidemark/base/bytes.h"
#include "tidemark/base/result.h"
#include "tidemark/base/version.h"
#include "tidemark/generate/generate.h"
#include "tidemark/graph/device_profile.h"
#include "tidemark/graph/graph.h"
#include "tidemark/graph/graph_json.h"
#include "tidemark/plan/least_memory.h"
#include "tidemark/plan/plan.h"
#include "tidemark/plan/plan_json.h"
#include "tidemark/plan/planner.h"
#include "tidemark/plan/policies.h"
#include "tidemark/plan/simulate.h"
#include "tidemark/plan/validate.h"
#include "tidemark/report/explain.h"
#include "tidemark/report/report.h"

#if __has_include(<ATen/core/Tensor.h>)
#include "tidemark/runtime/checkpoint.h"
#include "tidemark/runtime/debug.h"
#include "tidemark/runtime/estimate.h"
#include "tidemark/runtime/inference.h"
#include "tidemark/runtime/memory_budget.h"
#include "tidemark/runtime/named_scope.h"
#include "tidemark/runtime/recording.h"
#include "tidemark/runtime/verification.h"
#endif
