// Estimates: a step as data, without its memory and without its work.
//
//   tidemark::FakeDevice device;                       // from here on nothing is computed
//   auto model = device.build([] { return Net(); });   // parameters with sizes, without data
//   tidemark::StepGraph graph = device.record([&] { train_one_step(model); });
//   graph.is_estimate;                                 // true: costs and workspace are modelled
//
// Ops, sizes and lifetimes are those of a real step, because autograd and all composite ops run as
// they do in one; only the kernels do not (fake_runner.h has the limits). A model that was built
// before may be used too: its parameters, buffers, gradients' data and optimizer state are not
// written; but .grad of its parameters is left at dataless tensors, and so is state that the
// optimizer makes. What the process holds and the step does not touch is left out. In C++ the sizes
// come from meta kernels.
//
// One at a time in the process; not while a MemoryBudget is in a step. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <utility>

#include "tidemark/graph/graph.h"
#include "tidemark/runtime/step_allocator.h"
#include "tidemark/trace/fake_runner.h"

namespace tidemark {

// So often a step runs at most until its form repeats.
inline constexpr int kMaxRecordedSteps = 5;

class TIDEMARK_API FakeDevice {
 public:
  explicit FakeDevice(FakeOracle oracle = describe_by_meta_kernels);
  ~FakeDevice();
  FakeDevice(const FakeDevice&) = delete;
  FakeDevice& operator=(const FakeDevice&) = delete;

  // Runs `make` with ops answered; what it makes counts as older than any step.
  template <typename Make>
  auto build(Make&& make) {
    const Building building;
    return std::forward<Make>(make)();
  }

  // Runs `step` until its form repeats and returns it as data.
  StepGraph record(const std::function<void()>& step);

  // The pieces of the above, for a face that drives the steps itself.
  void begin_step() { runner_.begin_estimates(); }
  // The step that began last has ended and was recorded as `graph`.
  void end_step(StepGraph graph);
  // The graph given to end_step that has the form of `graph`, with modelled costs and workspace.
  const StepGraph& estimated(const StepGraph& graph) const;

  // Ops are torch's again; what is left of the dataless tensors counts for no budget.
  void close();

 private:
  class TIDEMARK_API Building {
   public:
    Building();
    ~Building();
    Building(const Building&) = delete;
    Building& operator=(const Building&) = delete;

   private:
    StepAllocator::Unobserved older_than_any_step_;
  };

  FakeRunner runner_;
  std::unordered_map<std::uint64_t, StepGraph> estimated_;  // by graph_hash
  bool is_open_ = true;
};

}  // namespace tidemark
