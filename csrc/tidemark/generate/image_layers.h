// Image layers: the leaf ops that eager PyTorch runs for them, with what autograd saves of each.
//
// As in layers.h; shapes are [batch, channels, height, width].
#pragma once

#include <vector>

#include "tidemark/generate/step_builder.h"

namespace tidemark {

struct Window {
  int height = 1;
  int width = 1;
  int stride = 1;
  int pad_height = 0;
  int pad_width = 0;
};
// A square window that keeps the size of the image at stride 1.
constexpr Window window(int size, int stride = 1) {
  return {size, size, stride, (size - 1) / 2, (size - 1) / 2};
}

Tensor conv2d(StepBuilder& step, const Tensor& x, std::int64_t channels, const Window& window,
              bool has_bias = false);
Tensor conv_transpose2d(StepBuilder& step, const Tensor& x,
                        std::int64_t channels);  // 2x2, stride 2
Tensor batch_norm(StepBuilder& step, const Tensor& x);
Tensor max_pool2d(StepBuilder& step, const Tensor& x, const Window& window);
Tensor avg_pool2d(StepBuilder& step, const Tensor& x, const Window& window);
Tensor mean_of_image(StepBuilder& step, const Tensor& x);                 // [batch, channels]
Tensor concatenate(StepBuilder& step, const std::vector<Tensor>& parts);  // along the channels

}  // namespace tidemark
