// FakeRunner: answers ops with tensors that have sizes and a device but no data.
//
// While one is set as the tap's runner, no kernel of the program runs: an op that writes in place
// returns what it wrote to, untouched; a pure view is made as usual; every other op is described by
// an oracle (meta kernels, or Python's fake tensors), and the results are plain tensors on dataless
// storages of StepAllocator. Everything above the tap (autograd, its saved tensors, its stealing of
// gradients, composite ops) sees plain tensors and does exactly what it does in a real step, and
// the recorder sees the same ops, blocks and lifetimes. Real tensors may take part and keep their
// data; arange and randperm make real ones, because samplers read them.
//
// LIMITS. Reading a dataless tensor's data throws. item() of a tensor whose number is unknown gives
// 1 (false, if it is a bool). Ops whose result sizes depend on data throw NotSupported.
#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "tidemark/trace/op_cost.h"
#include "tidemark/trace/op_memory.h"
#include "tidemark/trace/tap.h"

namespace tidemark {

// Takes the arguments of an op from the stack and leaves tensors of the sizes, strides, dtypes and
// storage sizes that the op's results would have. A result that is one of the arguments is it.
using FakeOracle = std::function<void(const c10::OperatorHandle&, torch::jit::Stack*)>;

// Describes by meta kernels in this process. An op that has none runs on zeros of the arguments'
// sizes, in memory that is given back at once.
TIDEMARK_API void describe_by_meta_kernels(const c10::OperatorHandle& op, torch::jit::Stack* stack);

// Returns tensors as `described`, on dataless storages of as many bytes; those that share a storage
// there share one here. The storages count as older than any step.
TIDEMARK_API std::vector<at::Tensor> make_dataless(const std::vector<at::Tensor>& described);
TIDEMARK_API bool is_dataless(const at::Tensor& tensor);

struct OpEstimate {
  Nanoseconds cost_ns = 0;
  Bytes workspace_bytes = 0;
};

class TIDEMARK_API FakeRunner final : public OpRunner {
 public:
  explicit FakeRunner(FakeOracle oracle, const DeviceProfile& device = device_profile("cpu"))
      : oracle_(std::move(oracle)), device_(device) {}

  void run(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
           torch::jit::Stack* stack) override;

  // What each op answered since begin_estimates would have taken, in order. Views are left out.
  void begin_estimates() { estimates_.clear(); }
  const std::vector<OpEstimate>& estimates() const { return estimates_; }

 private:
  void answer(const c10::OperatorHandle& op, torch::jit::Stack* stack);
  void note_writes(const c10::OperatorHandle& op, at::ArrayRef<c10::IValue> args);
  std::vector<c10::IValue> describe(const c10::OperatorHandle& op, at::ArrayRef<c10::IValue> args);
  c10::IValue number_in(const at::Tensor& tensor) const;

  FakeOracle oracle_;
  DeviceProfile device_;
  OpMemoryTable memory_;
  std::vector<OpEstimate> estimates_;
  // Real storages that the step has written: their data is not what the program would see. Weak
  // references keep their addresses from being used again.
  std::unordered_map<const c10::StorageImpl*, c10::weak_intrusive_ptr<c10::StorageImpl>> outdated_;
};

}  // namespace tidemark
