#include "tidemark/generate/image_layers.h"

#include "tidemark/base/error.h"

namespace tidemark {
namespace {

std::int64_t pooled(std::int64_t size, int window, int stride, int pad) {
  const std::int64_t room = size + 2 * std::int64_t{pad} - window;
  TIDEMARK_CHECK_VALUE(room >= 0, "the images are too small: ", size,
                       " pixels are left where the model looks at ", window);
  return room / stride + 1;
}

Shape pooled_shape(const Tensor& x, std::int64_t channels, const Window& w) {
  return {x.shape[0], channels, pooled(x.shape[2], w.height, w.stride, w.pad_height),
          pooled(x.shape[3], w.width, w.stride, w.pad_width)};
}

}  // namespace

Tensor conv2d(StepBuilder& step, const Tensor& x, std::int64_t channels, const Window& w,
              bool has_bias) {
  OpSpec op{.name = "aten::convolution", .inputs = {x}, .node = "ConvolutionBackward0"};
  op.inputs.push_back(step.parameter({channels, x.shape[1], w.height, w.width}, "weight"));
  if (has_bias) op.inputs.push_back(step.parameter({channels}, "bias"));
  op.outputs = {{pooled_shape(x, channels, w)}};
  const std::int64_t per_output = x.shape[1] * w.height * w.width;
  double num_outputs = 1;
  for (std::int64_t size : op.outputs[0].shape) num_outputs *= static_cast<double>(size);
  op.flops = 2 * num_outputs * static_cast<double>(per_output);
  op.saves = {in(0), in(1)};
  const double factor = x.requires_grad ? 2 : 1;  // one product for the input, one for the weight
  op.backward = {{"aten::convolution_backward", {in(0), in(1)}, {0, 1}, factor * op.flops}};
  if (has_bias) op.backward[0].makes.push_back(2);
  return step.apply(std::move(op)).front();
}

Tensor conv_transpose2d(StepBuilder& step, const Tensor& x, std::int64_t channels) {
  const double flops = 8 * static_cast<double>(x.numel() * channels);
  return step
      .apply({.name = "aten::convolution",
              .inputs = {x, step.parameter({x.shape[1], channels, 2, 2}, "weight"),
                         step.parameter({channels}, "bias")},
              .outputs = {{{x.shape[0], channels, 2 * x.shape[2], 2 * x.shape[3]}}},
              .flops = flops,
              .node = "ConvolutionBackward0",
              .saves = {in(0), in(1)},
              .backward = {{"aten::convolution_backward", {in(0), in(1)}, {0, 1, 2}, 2 * flops}}})
      .front();
}

Tensor batch_norm(StepBuilder& step, const Tensor& x) {
  const Shape channels{x.shape[1]};
  return step
      .apply(
          {.name = "aten::native_batch_norm",
           .inputs = {x, step.parameter(channels, "weight"), step.parameter(channels, "bias"),
                      step.buffer(channels, "running_mean"), step.buffer(channels, "running_var")},
           .outputs = {{x.shape}, {channels, 4}, {channels, 4}, {channels, 4, 3}, {channels, 4, 4}},
           .node = "NativeBatchNormBackward0",
           .saves = {in(0), in(1), out(1), out(2)},
           .backward = {{"aten::native_batch_norm_backward",
                         {in(0), in(1), out(1), out(2)},
                         {0, 1, 2}}}})
      .front();
}

Tensor max_pool2d(StepBuilder& step, const Tensor& x, const Window& w) {
  const Shape shape = pooled_shape(x, x.shape[1], w);
  return step
      .apply({.name = "aten::max_pool2d_with_indices",
              .inputs = {x},
              .outputs = {{shape}, {shape, 8}},
              .node = "MaxPool2DWithIndicesBackward0",
              .saves = {in(0), out(1)},
              .backward = {{"aten::max_pool2d_with_indices_backward", {in(0), out(1)}, {0}}}})
      .front();
}

Tensor avg_pool2d(StepBuilder& step, const Tensor& x, const Window& w) {
  return step
      .apply({.name = "aten::avg_pool2d",
              .inputs = {x},
              .outputs = {{pooled_shape(x, x.shape[1], w)}},
              .node = "AvgPool2DBackward0",
              .saves = {in(0)},
              .backward = {{"aten::avg_pool2d_backward", {in(0)}, {0}}}})
      .front();
}

Tensor mean_of_image(StepBuilder& step, const Tensor& x) {
  return step
      .apply({.name = "aten::mean.dim",
              .inputs = {x},
              .outputs = {{{x.shape[0], x.shape[1]}}},
              .node = "MeanBackward1",
              .backward = {{"aten::div.Scalar", {}, {0}}}})
      .front();
}

Tensor concatenate(StepBuilder& step, const std::vector<Tensor>& parts) {
  OpSpec op{.name = "aten::cat", .inputs = parts, .node = "CatBackward0"};
  Shape shape = parts.front().shape;
  shape[1] = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    shape[1] += parts[i].shape[1];
    op.passes_gradient.push_back(static_cast<int>(i));
  }
  op.outputs = {{shape}};
  return step.apply(std::move(op)).front();
}

}  // namespace tidemark
