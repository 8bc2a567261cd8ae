// Op costs without a measurement: a device's roofline (graph/device_profile.h) over what an op's
// tensors show.
//
// Bytes are what the op's tensors take, each once; flops are counted for matrix products,
// convolutions and attention alone.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include "tidemark/base/bytes.h"
#include "tidemark/graph/device_profile.h"

namespace tidemark {

// Returns what `op` takes on `device`, from the sizes of its arguments and results alone.
Nanoseconds op_cost(const c10::OperatorHandle& op, at::ArrayRef<c10::IValue> args,
                    at::ArrayRef<c10::IValue> results, const DeviceProfile& device);

}  // namespace tidemark
