// Op costs without a measurement: a roofline over a few round figures of a device.
//
// cost = overhead + max(flops / flops_per_second, bytes / bytes_per_second) + random numbers, where
// bytes are what the op's tensors take, each once, and flops are counted for matrix products,
// convolutions and attention alone (Williams et al. 2009, "Roofline"). Good for comparing the ops
// of one step with each other; graphs with such costs say is_estimate.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include "tidemark/base/bytes.h"

namespace tidemark {

struct DeviceProfile {
  double flops_per_second = 0;
  double bytes_per_second = 0;
  double overhead_ns = 0;       // per op: dispatch, launch
  double random_number_ns = 0;  // per number drawn
};

// A few cores of a CPU: 50 GFLOP/s, 10 GB/s, 2 us per op, 4 ns per random number (mt19937).
inline constexpr DeviceProfile kCpuProfile{50e9, 10e9, 2000, 4};

// Returns what `op` takes on `device`, from the sizes of its arguments and results alone.
Nanoseconds op_cost(const c10::OperatorHandle& op, at::ArrayRef<c10::IValue> args,
                    at::ArrayRef<c10::IValue> results, const DeviceProfile& device);

}  // namespace tidemark
