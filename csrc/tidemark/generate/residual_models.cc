#include <algorithm>

#include "tidemark/generate/image_layers.h"
#include "tidemark/generate/image_models.h"
#include "tidemark/generate/layers.h"

namespace tidemark {
namespace {

constexpr std::int64_t kClasses = 1000;
constexpr std::array<int, 4> kWidths{64, 128, 256, 512};

Tensor conv_bn(StepBuilder& step, const Tensor& x, std::int64_t channels, const Window& window,
               std::string_view name) {
  const StepBuilder::Scope scope(step, name);
  return batch_norm(step, conv2d(step, x, channels, window));
}

Tensor classify(StepBuilder& step, const Tensor& x) {
  const Tensor pooled = mean_of_image(step, x);
  const StepBuilder::Scope scope(step, "fc");
  return cross_entropy(step, linear(step, pooled, kClasses));
}

Tensor residual_block(StepBuilder& step, const Tensor& x, int width, int stride,
                      bool is_bottleneck) {
  const std::int64_t channels = is_bottleneck ? 4 * width : width;
  Tensor y = x;
  if (is_bottleneck) {
    y = relu_(step, conv_bn(step, y, width, window(1), "conv1"));
    y = relu_(step, conv_bn(step, y, width, window(3, stride), "conv2"));
    y = conv_bn(step, y, channels, window(1), "conv3");
  } else {
    y = relu_(step, conv_bn(step, y, width, window(3, stride), "conv1"));
    y = conv_bn(step, y, channels, window(3), "conv2");
  }
  const bool is_same = stride == 1 && x.shape[1] == channels;
  const Tensor identity = is_same ? x : conv_bn(step, x, channels, window(1, stride), "downsample");
  return relu_(step, add_(step, y, identity));
}

// memonger's block: every convolution has its batch norm and activation, the sum has neither.
Tensor plain_block(StepBuilder& step, const Tensor& x, std::int64_t width, int stride) {
  const auto layer = [&](const Tensor& y, std::int64_t channels, const Window& w,
                         std::string_view name) {
    return leaky_relu_(step, conv_bn(step, y, channels, w, name));
  };
  Tensor y = layer(x, width, window(1), "conv1");
  y = layer(y, width, window(3, stride), "conv2");
  y = layer(y, 4 * width, window(1), "conv3");
  const bool is_same = stride == 1 && x.shape[1] == 4 * width;
  return add(step, y, is_same ? x : layer(x, 4 * width, window(1, stride), "shortcut"));
}

template <typename Block>
Tensor stages(StepBuilder& step, Tensor x, const StageDepths& depths, Block block) {
  for (int stage = 0; stage < 4; ++stage) {
    const StepBuilder::Scope layer(step, "layer" + std::to_string(stage + 1));
    for (int i = 0; i < depths[stage]; ++i) {
      const StepBuilder::Scope scope(step, std::to_string(i));
      x = block(x, kWidths[stage], i == 0 && stage > 0 ? 2 : 1);
    }
  }
  return x;
}

Tensor images(StepBuilder& step, std::int64_t batch, std::int64_t size) {
  return step.input({batch, 3, size, size});
}

}  // namespace

StageDepths deep_resnet_stages(int depth) {
  // Stem, four shortcuts and the classifier are layers too.
  const int blocks = (depth - 6) / 3;
  StageDepths depths{std::max(1, blocks * 3 / 66), std::max(1, blocks * 24 / 66), 0,
                     std::max(1, blocks * 3 / 66)};
  depths[2] = blocks - depths[0] - depths[1] - depths[3];
  return depths;
}

Tensor deep_resnet(StepBuilder& step, const StageDepths& depths, std::int64_t batch,
                   std::int64_t size) {
  Tensor x = leaky_relu_(step, conv_bn(step, images(step, batch, size), 64, window(7, 2), "stem"));
  x = max_pool2d(step, x, window(3, 2));
  x = stages(step, x, depths, [&](const Tensor& y, int width, int stride) {
    return plain_block(step, y, width, stride);
  });
  return classify(step, x);
}

Tensor resnet(StepBuilder& step, int depth, std::int64_t batch, std::int64_t size) {
  StageDepths depths{};
  switch (depth) {
    case 18:
      depths = {2, 2, 2, 2};
      break;
    case 34:
    case 50:
      depths = {3, 4, 6, 3};
      break;
    case 101:
      depths = {3, 4, 23, 3};
      break;
    case 152:
      depths = {3, 8, 36, 3};
      break;
    default:
      return deep_resnet(step, deep_resnet_stages(depth), batch, size);
  }
  Tensor x = relu_(step, conv_bn(step, images(step, batch, size), 64, window(7, 2), "stem"));
  x = max_pool2d(step, x, window(3, 2));
  x = stages(step, x, depths, [&](const Tensor& y, int width, int stride) {
    return residual_block(step, y, width, stride, depth >= 50);
  });
  return classify(step, x);
}

}  // namespace tidemark
