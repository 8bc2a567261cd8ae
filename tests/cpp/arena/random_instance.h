// Random instances for the tests of this folder, the same on every platform.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "tidemark/arena/instance.h"

namespace tidemark::testing {

struct RandomInstanceOptions {
  int num_buffers = 8;
  int num_times = 8;
  Bytes largest = 8;
  bool with_rules = false;  // alignments, fixed offsets, forbidden ranges, block limits
};

class RandomInstance {
 public:
  explicit RandomInstance(std::uint32_t seed) : random_(seed) {}

  Instance make(const RandomInstanceOptions& options) {
    Instance instance;
    for (int i = 0; i < options.num_buffers; ++i) {
      const Time begin = below(options.num_times);
      const Time end = begin + 1 + below(options.num_times - static_cast<int>(begin));
      instance.buffers.push_back({.begin = begin,
                                  .end = end,
                                  .size = 1 + below(static_cast<int>(options.largest)),
                                  .name = "b" + std::to_string(i)});
    }
    if (options.with_rules) add_rules(instance, options.largest);
    return instance;
  }

  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint32_t>(n)); }

 private:
  void add_rules(Instance& instance, Bytes largest) {
    instance.alignment = 1 + below(2);
    for (Buffer& buffer : instance.buffers) {
      if (below(4) == 0) buffer.alignment = 1 << below(3);
      if (below(8) == 0) buffer.offset = 4 * below(3);
    }
    if (below(3) == 0) {
      const Bytes begin = below(8);
      instance.forbidden.push_back({begin, begin + 1 + below(4)});
    }
    if (below(4) == 0) instance.block_limit = (largest + 3) / 4 * 4 + 4 * below(3);
  }

  std::mt19937 random_;
};

}  // namespace tidemark::testing
