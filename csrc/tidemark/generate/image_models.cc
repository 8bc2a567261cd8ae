#include "tidemark/generate/image_models.h"

#include "tidemark/generate/image_layers.h"
#include "tidemark/generate/layers.h"

namespace tidemark {
namespace {

constexpr std::int64_t kClasses = 1000;

Tensor conv_bn_relu(StepBuilder& step, const Tensor& x, std::int64_t channels, const Window& window,
                    bool has_bias = false) {
  return relu_(step, batch_norm(step, conv2d(step, x, channels, window, has_bias)));
}

Tensor images(StepBuilder& step, std::int64_t batch, std::int64_t size) {
  return step.input({batch, 3, size, size});
}

Tensor classify(StepBuilder& step, const Tensor& features) {
  const StepBuilder::Scope scope(step, "classifier");
  return cross_entropy(step, linear(step, features, kClasses));
}

std::vector<int> vgg_repeats(int depth) {
  switch (depth) {
    case 11:
      return {1, 1, 2, 2, 2};
    case 13:
      return {2, 2, 2, 2, 2};
    case 16:
      return {2, 2, 3, 3, 3};
    default:
      return {2, 2, 4, 4, 4};
  }
}

std::vector<int> dense_blocks(int depth) {
  if (depth == 121) return {6, 12, 24, 16};
  if (depth == 169) return {6, 12, 32, 32};
  return {6, 12, 48, 32};
}

constexpr std::int64_t kGrowth = 32;

Tensor dense_layer(StepBuilder& step, const std::vector<Tensor>& features) {
  Tensor x = relu_(step, batch_norm(step, concatenate(step, features)));
  x = relu_(step, batch_norm(step, conv2d(step, x, 4 * kGrowth, window(1))));
  return conv2d(step, x, kGrowth, window(3));
}

// Inception's windows without padding, and its pairs of one-dimensional ones.
constexpr Window kValid3{3, 3, 1, 0, 0};
constexpr Window kValid3Stride2{3, 3, 2, 0, 0};
constexpr Window row(int size) { return {1, size, 1, 0, (size - 1) / 2}; }
constexpr Window column(int size) { return {size, 1, 1, (size - 1) / 2, 0}; }

Tensor inception_a(StepBuilder& step, const Tensor& x, int pool_channels) {
  const auto conv = [&](const Tensor& y, int channels, const Window& w) {
    return conv_bn_relu(step, y, channels, w);
  };
  const Tensor one = conv(x, 64, window(1));
  const Tensor five = conv(conv(x, 48, window(1)), 64, window(5));
  const Tensor three = conv(conv(conv(x, 64, window(1)), 96, window(3)), 96, window(3));
  const Tensor pool = conv(avg_pool2d(step, x, window(3)), pool_channels, window(1));
  return concatenate(step, {one, five, three, pool});
}

Tensor inception_b(StepBuilder& step, const Tensor& x) {
  const auto conv = [&](const Tensor& y, int channels, const Window& w) {
    return conv_bn_relu(step, y, channels, w);
  };
  const Tensor three = conv(x, 384, kValid3Stride2);
  const Tensor twice = conv(conv(conv(x, 64, window(1)), 96, window(3)), 96, kValid3Stride2);
  return concatenate(step, {three, twice, max_pool2d(step, x, kValid3Stride2)});
}

Tensor inception_c(StepBuilder& step, const Tensor& x, int width) {
  const auto conv = [&](const Tensor& y, int channels, const Window& w) {
    return conv_bn_relu(step, y, channels, w);
  };
  const Tensor one = conv(x, 192, window(1));
  const Tensor seven = conv(conv(conv(x, width, window(1)), width, row(7)), 192, column(7));
  Tensor twice = conv(conv(x, width, window(1)), width, column(7));
  twice = conv(conv(conv(twice, width, row(7)), width, column(7)), 192, row(7));
  const Tensor pool = conv(avg_pool2d(step, x, window(3)), 192, window(1));
  return concatenate(step, {one, seven, twice, pool});
}

Tensor inception_d(StepBuilder& step, const Tensor& x) {
  const auto conv = [&](const Tensor& y, int channels, const Window& w) {
    return conv_bn_relu(step, y, channels, w);
  };
  const Tensor three = conv(conv(x, 192, window(1)), 320, kValid3Stride2);
  Tensor seven = conv(conv(conv(x, 192, window(1)), 192, row(7)), 192, column(7));
  seven = conv(seven, 192, kValid3Stride2);
  return concatenate(step, {three, seven, max_pool2d(step, x, kValid3Stride2)});
}

Tensor inception_e(StepBuilder& step, const Tensor& x) {
  const auto conv = [&](const Tensor& y, int channels, const Window& w) {
    return conv_bn_relu(step, y, channels, w);
  };
  const Tensor one = conv(x, 320, window(1));
  const Tensor three = conv(x, 384, window(1));
  const Tensor wide = concatenate(step, {conv(three, 384, row(3)), conv(three, 384, column(3))});
  const Tensor twice = conv(conv(x, 448, window(1)), 384, window(3));
  const Tensor deep = concatenate(step, {conv(twice, 384, row(3)), conv(twice, 384, column(3))});
  const Tensor pool = conv(avg_pool2d(step, x, window(3)), 192, window(1));
  return concatenate(step, {one, wide, deep, pool});
}

Tensor inception_stem(StepBuilder& step, Tensor x) {
  const StepBuilder::Scope scope(step, "stem");
  x = conv_bn_relu(step, x, 32, kValid3Stride2);
  x = conv_bn_relu(step, x, 32, kValid3);
  x = max_pool2d(step, conv_bn_relu(step, x, 64, window(3)), kValid3Stride2);
  x = conv_bn_relu(step, conv_bn_relu(step, x, 80, window(1)), 192, kValid3);
  return max_pool2d(step, x, kValid3Stride2);
}

Tensor double_conv(StepBuilder& step, const Tensor& x, std::int64_t channels,
                   const std::string& name) {
  const StepBuilder::Scope scope(step, name);
  return conv_bn_relu(step, conv_bn_relu(step, x, channels, window(3)), channels, window(3));
}

}  // namespace

Tensor vgg(StepBuilder& step, int depth, std::int64_t batch, std::int64_t size) {
  constexpr std::array<int, 5> kWidths{64, 128, 256, 512, 512};
  const std::vector<int> repeats = vgg_repeats(depth);
  Tensor x = images(step, batch, size);
  for (std::size_t stage = 0; stage < repeats.size(); ++stage) {
    const StepBuilder::Scope scope(step, "features" + std::to_string(stage + 1));
    for (int i = 0; i < repeats[stage]; ++i)
      x = relu_(step, conv2d(step, x, kWidths[stage], window(3), true));
    x = max_pool2d(step, x, {2, 2, 2});
  }
  x = view(x, {batch, x.numel() / batch});
  for (int i = 0; i < 2; ++i) {
    const StepBuilder::Scope scope(step, "fc" + std::to_string(i + 1));
    x = dropout(step, relu_(step, linear(step, x, 4096)));
  }
  return classify(step, x);
}

Tensor densenet(StepBuilder& step, int depth, std::int64_t batch, std::int64_t size) {
  Tensor x = conv_bn_relu(step, images(step, batch, size), 64, window(7, 2));
  x = max_pool2d(step, x, window(3, 2));
  const std::vector<int> blocks = dense_blocks(depth);
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const StepBuilder::Scope block(step, "denseblock" + std::to_string(b + 1));
    std::vector<Tensor> features{x};
    for (int i = 0; i < blocks[b]; ++i) {
      const StepBuilder::Scope layer(step, "denselayer" + std::to_string(i + 1));
      features.push_back(dense_layer(step, features));
    }
    x = relu_(step, batch_norm(step, concatenate(step, features)));
    if (b + 1 < blocks.size())
      x = avg_pool2d(step, conv2d(step, x, x.shape[1] / 2, window(1)), {2, 2, 2});
  }
  return classify(step, mean_of_image(step, x));
}

Tensor inception(StepBuilder& step, std::int64_t batch, std::int64_t size) {
  Tensor x = inception_stem(step, images(step, batch, size));
  int number = 0;
  const auto block = [&](auto make) {
    const StepBuilder::Scope scope(step, "mixed" + std::to_string(++number));
    x = make(x);
  };
  for (int channels : {32, 64, 64})
    block([&](const Tensor& y) { return inception_a(step, y, channels); });
  block([&](const Tensor& y) { return inception_b(step, y); });
  for (int width : {128, 160, 160, 192})
    block([&](const Tensor& y) { return inception_c(step, y, width); });
  block([&](const Tensor& y) { return inception_d(step, y); });
  for (int i = 0; i < 2; ++i) block([&](const Tensor& y) { return inception_e(step, y); });
  return classify(step, dropout(step, mean_of_image(step, x)));
}

Tensor unet(StepBuilder& step, std::int64_t batch, std::int64_t size) {
  constexpr int kLevels = 4;
  Tensor x = images(step, batch, size);
  std::vector<Tensor> skips;
  for (int level = 0; level < kLevels; ++level) {
    skips.push_back(double_conv(step, x, 64 << level, "down" + std::to_string(level + 1)));
    x = max_pool2d(step, skips.back(), {2, 2, 2});
  }
  x = double_conv(step, x, 64 << kLevels, "bottom");
  for (int level = kLevels - 1; level >= 0; --level) {
    const StepBuilder::Scope scope(step, "up" + std::to_string(level + 1));
    const Tensor up = conv_transpose2d(step, x, 64 << level);
    x = double_conv(step, concatenate(step, {skips[level], up}), 64 << level, "conv");
  }
  constexpr std::int64_t kPixelClasses = 2;
  const Tensor logits = conv2d(step, x, kPixelClasses, window(1), true);
  return cross_entropy(step, view(logits, {logits.numel() / kPixelClasses, kPixelClasses}));
}

}  // namespace tidemark
