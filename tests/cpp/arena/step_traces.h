// Steps of a model whose output lives until the next step has made its like, and a judge of the
// addresses planned for them that knows nothing of how they were found.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "arena/training_trace.h"
#include "tidemark/arena/address_plan.h"

namespace tidemark::testing {

inline StepTrace trace_with_output(int num_buffers, std::uint32_t seed) {
  StepTrace trace;
  Time length = 0;
  for (const Buffer& buffer : training_trace(num_buffers, seed).buffers) {
    if (buffer.begin == 0) continue;  // a weight
    trace.blocks.push_back({.bytes = buffer.size, .begin = buffer.begin, .end = buffer.end});
    length = std::max(length, buffer.end + 1);
  }
  const Time middle = length / 3;  // where forward ends
  trace.blocks.push_back({.bytes = 300'000, .begin = middle, .end_of_last = middle + 2});
  std::stable_sort(trace.blocks.begin(), trace.blocks.end(),
                   [](const auto& a, const auto& b) { return a.begin < b.begin; });
  trace.length = length;
  return trace;
}

// The blocks of several steps, on one axis of time, where the plan lays them.
inline std::vector<Buffer> lay_out(const StepTrace& trace, const AddressPlan& plan,
                                   int num_steps = 4) {
  std::vector<Buffer> buffers;
  for (int step = 0; step < num_steps; ++step) {
    const std::size_t first = (step % plan.num_steps) * trace.blocks.size();
    for (std::size_t i = 0; i < trace.blocks.size(); ++i) {
      const TracedBlock& block = trace.blocks[i];
      const Time end = block.end ? *block.end : trace.length + *block.end_of_last;
      buffers.push_back({.begin = step * trace.length + block.begin,
                         .end = step * trace.length + end,
                         .size = block.bytes,
                         .offset = plan.slots[first + i].offset});
    }
  }
  return buffers;
}

// Returns which two share an address while both live, "" if none do.
inline std::string overlap_in(const StepTrace& trace, const AddressPlan& plan) {
  std::vector<Buffer> buffers = lay_out(trace, plan);
  std::erase_if(buffers, [](const Buffer& buffer) { return buffer.offset == kNoOffset; });
  for (std::size_t a = 0; a < buffers.size(); ++a) {
    for (std::size_t b = a + 1; b < buffers.size(); ++b) {
      const Buffer& x = buffers[a];
      const Buffer& y = buffers[b];
      const bool live_together = x.begin < y.end && y.begin < x.end;
      const bool lie_together = *x.offset < *y.offset + y.size && *y.offset < *x.offset + x.size;
      if (live_together && lie_together) return std::to_string(a) + " and " + std::to_string(b);
    }
  }
  return "";
}

}  // namespace tidemark::testing
