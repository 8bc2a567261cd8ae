// OpMemoryTable: what ops take and give back inside, measured here and not modelled.
//
// The workspace of convolutions, norms, fused attention and oneDNN's LSTM depends on kernels,
// instruction set and number of threads, and no formula covers it; but it grows linearly with the
// batch (for the LSTM, with time). So such an op is run on zeros, once per form of its arguments,
// with the batch of the step if that is small, else with two small ones, and the line through both
// is followed to the step's. Ops that are not in the table count as 0.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "tidemark/base/bytes.h"

namespace tidemark {

class OpMemoryTable {
 public:
  // Returns the workspace of `op` on tensors like `args`, which are on the CPU and need no data.
  // REQUIRES: StepAllocator is installed.
  Bytes workspace(const c10::OperatorHandle& op, at::ArrayRef<c10::IValue> args);

  // Gives results of `op` that torch describes without their numbers their true sizes: what
  // oneDNN's LSTM leaves for its backward.
  void complete(const c10::OperatorHandle& op, at::ArrayRef<c10::IValue> args,
                std::vector<c10::IValue>& described);

 private:
  struct Line {  // fixed + batch * per_item
    double fixed = 0;
    double per_item = 0;
  };
  struct Sizes {
    std::int64_t workspace = 0;   // bytes
    std::int64_t last_numel = 0;  // of the last result
  };
  Sizes find(const c10::OperatorHandle& op, at::ArrayRef<c10::IValue> args);

  std::unordered_map<std::string, std::pair<Line, Line>> lines_;
};

}  // namespace tidemark
