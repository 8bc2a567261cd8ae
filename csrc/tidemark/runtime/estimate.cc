#include "tidemark/runtime/estimate.h"

#include <stdexcept>

#include "tidemark/plan/signature.h"
#include "tidemark/runtime/memory_budget.h"
#include "tidemark/runtime/self_check.h"

namespace tidemark {
namespace {

const FakeDevice* open_device = nullptr;

}  // namespace

FakeDevice::FakeDevice(FakeOracle oracle) : runner_(std::move(oracle)) {
  if (open_device != nullptr) {
    throw std::logic_error("tidemark: an estimate inside an estimate");
  }
  const std::string obstacle = self_check_obstacle();
  TORCH_CHECK_NOT_IMPLEMENTED(obstacle.empty(), "tidemark: ", obstacle);
  if (is_tap_on()) throw std::logic_error("tidemark: an estimate inside a step; leave it before");
  open_device = this;
  StepAllocator::instance().acquire();
  set_op_runner(&runner_);
}

FakeDevice::Building::Building() { enter_tap(nullptr); }
FakeDevice::Building::~Building() { leave_tap(); }

FakeDevice::~FakeDevice() { close(); }

void FakeDevice::close() {
  if (!is_open_) return;
  is_open_ = false;
  open_device = nullptr;
  set_op_runner(nullptr);
  StepAllocator::instance().stop_counting_dataless();
  StepAllocator::instance().release();
}

StepGraph FakeDevice::record(const std::function<void()>& step) {
  MemoryBudget budget(kUnlimited);
  for (int i = 0; i < kMaxRecordedSteps && budget.counts().planned == 0; ++i) {
    begin_step();
    {
      auto scope = budget.step();
      step();
    }
    if (budget.last_step().kind != StepKind::kPlanned) end_step(*budget.graph());
  }
  return estimated(*budget.graph());
}

void FakeDevice::end_step(StepGraph graph) {
  graph.is_estimate = true;
  graph.entry.other_bytes = 0;  // what this process happens to hold besides
  // Every op of the graph was answered once, in this order.
  auto estimate = runner_.estimates().begin();
  for (Event& event : graph.events) {
    if (event.kind != EventKind::kOp) continue;
    TORCH_INTERNAL_ASSERT(estimate != runner_.estimates().end(),
                          "tidemark: the recorded step has more ops than were answered");
    event.cost_ns = estimate->cost_ns;
    event.workspace_bytes = estimate->workspace_bytes;
    ++estimate;
  }
  estimated_.insert_or_assign(graph_hash(graph), std::move(graph));
}

const StepGraph& FakeDevice::estimated(const StepGraph& graph) const {
  return estimated_.at(graph_hash(graph));
}

}  // namespace tidemark
