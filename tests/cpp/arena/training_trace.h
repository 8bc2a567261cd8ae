// Lifetimes as a training step has them: forward layers whose activations live until their
// backward, nested, short-lived temporaries around both, gradients from backward to the optimizer's
// update, and weights that live throughout. The same seed gives the same trace on every platform.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tidemark/arena/instance.h"

namespace tidemark::testing {

// About `num_buffers` buffers of layers whose widths repeat every few layers, as blocks do.
inline Instance training_trace(int num_buffers, std::uint32_t seed) {
  std::mt19937 random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const int num_layers = num_buffers / 14;
  std::vector<Bytes> widths;
  for (int i = 0; i < 24; ++i) widths.push_back((1 + below(64)) * Bytes{4096} << below(5));
  Instance instance;
  const auto add = [&](Time begin, Time end, Bytes size) {
    instance.buffers.push_back({.begin = begin, .end = end, .size = size});
  };
  const Time forward = 4 * Time{num_layers};
  const Time backward = forward + 8 * Time{num_layers};
  for (int layer = 0; layer < num_layers; ++layer) {
    const Bytes width = widths[layer % 24] / (1 + layer / (num_layers / 3 + 1));
    const Time at = 4 * Time{layer};
    const Time back = forward + 8 * Time{num_layers - 1 - layer};
    const Time update = backward + layer;
    add(0, backward + num_layers, 256 + 16 * below(64));      // what a weight is, scaled down
    add(at, back + 2 + below(4), width);                      // saved activation
    if (below(2) == 0) add(at + 1, back + 1, width / 4 + 1);  // saved mask
    for (int k = 0; k < 3; ++k) add(at + below(4), at + 4 + below(2), width / (1 + below(4)) + 8);
    add(back, back + 9 + below(3), width);  // gradient of the activation
    for (int k = 0; k < 5; ++k)
      add(back + below(8), back + 8 + below(2), width / (1 + below(6)) + 8);
    add(back + 4, update + 1, 256 + 16 * below(64));  // gradient of the weight
    add(update, update + 1 + below(2), 512);
  }
  return instance;
}

}  // namespace tidemark::testing
