// WorkspaceTable: what ops take and give back inside, measured here and not modelled.
//
// The workspace of convolutions, batch norms and fused attention depends on kernels, instruction
// set and number of threads, and no formula covers it; but it grows linearly with the batch. So
// such an op is run on zeros, once per form of its arguments, with the batch of the step if that is
// small, else with two small ones, and the line through both is followed to the step's. Ops that
// are not in the table count as 0.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <string>
#include <unordered_map>

#include "tidemark/base/bytes.h"

namespace tidemark {

class WorkspaceTable {
 public:
  // Returns the workspace of `op` on tensors like `args`, which are on the CPU and need no data.
  // REQUIRES: StepAllocator is installed.
  Bytes find(const c10::OperatorHandle& op, at::ArrayRef<c10::IValue> args);

 private:
  struct Line {  // workspace = fixed + batch * per_item
    double fixed = 0;
    double per_item = 0;
  };
  std::unordered_map<std::string, Line> lines_;
};

}  // namespace tidemark
