#include "tidemark/runtime/recording.h"

#include <utility>

#include "tidemark/plan/planner.h"
#include "tidemark/runtime/estimate.h"

namespace tidemark {

StepGraph record(const std::function<void()>& step, Bytes memory) {
  MemoryBudget budget(memory);
  for (int i = 0; i < kMaxRecordedSteps && budget.counts().planned == 0; ++i) {
    auto scope = budget.step();
    step();
  }
  return *budget.graph();
}

Estimate estimate(const std::function<void()>& step) {
  FakeDevice device;
  StepGraph graph = device.record(step);
  Plan everything_kept = plan(graph, kUnlimited, {.policy = "keep_all"}).value();
  return {.graph = std::move(graph), .plan = std::move(everything_kept)};
}

}  // namespace tidemark
