// The networks of ONNC's model list, as inference programs with batch norms, activations and
// concatenations as ops of their own. Sizes are float32.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "graph/inference_nets.h"

namespace tidemark::testing {

// Builds one network layer by layer; `now` is what the next layer reads.
class Cnn {
 public:
  struct Image {
    ValueIndex value = kNone;
    int side = 0;
    int channels = 0;
  };

  Cnn(int batch, int side, int channels = 3) : batch_(batch) {
    now = {net_.source("input", bytes(side, channels)), side, channels};
  }

  Image now;

  void conv(int channels, int window, int stride = 1, int pad = -1, int groups = 1) {
    const int side = (now.side + 2 * (pad < 0 ? window / 2 : pad) - window) / stride + 1;
    const Bytes weight = Bytes{4} * window * window * now.channels / groups * channels;
    const ValueIndex w = net_.source("w", weight);
    const ValueIndex b = net_.source("b", Bytes{4} * channels);
    make("conv", {now.value, w, b}, side, channels);
  }

  void norm() {  // scale and shift, mean and variance
    std::vector<ValueIndex> inputs = {now.value};
    for (int k = 0; k < 4; ++k) inputs.push_back(net_.source("bn", Bytes{4} * now.channels));
    make("norm", inputs, now.side, now.channels);
  }

  void relu() { make("relu", {now.value}, now.side, now.channels); }
  void same(const std::string& name) { make(name, {now.value}, now.side, now.channels); }

  void pool(int window, int stride, int pad = 0) {
    make("pool", {now.value}, (now.side + 2 * pad - window + stride - 1) / stride + 1,
         now.channels);
  }

  void dense(int channels) {
    const ValueIndex w = net_.source("w", Bytes{4} * now.side * now.side * now.channels * channels);
    const ValueIndex b = net_.source("b", Bytes{4} * channels);
    make("dense", {now.value, w, b}, 1, channels);
  }

  void conv_relu(int channels, int window, int stride = 1, int pad = -1) {
    conv(channels, window, stride, pad);
    relu();
  }

  void conv_norm_relu(int channels, int window, int stride = 1) {
    conv(channels, window, stride);
    norm();
    relu();
  }

  void add(const Image& other) { make("add", {now.value, other.value}, now.side, now.channels); }

  void concat(const std::vector<Image>& parts) {
    std::vector<ValueIndex> values;
    int channels = 0;
    for (const Image& part : parts) {
      values.push_back(part.value);
      channels += part.channels;
    }
    make("concat", values, parts.front().side, channels);
  }

  // A convolution that has weights of its own at every place.
  void local(int channels, int window) {
    const Bytes places = Bytes{now.side} * now.side;
    const Bytes weight = Bytes{4} * window * window * now.channels * channels * places;
    make("local", {now.value, net_.source("w", weight), net_.source("b", 4 * channels * places)},
         now.side, channels);
  }

  StepGraph finish(bool has_softmax = true) {
    if (has_softmax) same("softmax");
    return net_.finish(now.value);
  }

 private:
  Bytes bytes(int side, int channels) const { return Bytes{4} * batch_ * side * side * channels; }

  void make(const std::string& name, std::vector<ValueIndex> inputs, int side, int channels) {
    now = {net_.op(name, std::move(inputs), bytes(side, channels)), side, channels};
  }

  int batch_;
  NetBuilder net_;
};

// AlexNet, CaffeNet (pooling before normalisation), R-CNN (CaffeNet with 200 classes).
inline StepGraph alexnet_like(int batch, bool pools_first, int classes) {
  Cnn net(batch, 224);
  const auto shrink = [&] {
    if (pools_first) net.pool(3, 2);
    net.same("lrn");
    if (!pools_first) net.pool(3, 2);
  };
  net.conv_relu(96, 11, 4, 2);
  shrink();
  net.conv_relu(256, 5);
  shrink();
  net.conv_relu(384, 3);
  net.conv_relu(384, 3);
  net.conv_relu(256, 3);
  net.pool(3, 2);
  for (int k = 0; k < 2; ++k) {
    net.dense(4096);
    net.relu();
    net.same("dropout");
  }
  net.dense(classes);
  return net.finish();
}

inline StepGraph zfnet512(int batch) {
  Cnn net(batch, 224);
  net.conv_relu(96, 7, 2, 1);
  net.same("lrn");
  net.pool(3, 2);
  net.conv_relu(256, 5, 2, 0);
  net.same("lrn");
  net.pool(3, 2);
  net.conv_relu(512, 3);
  net.conv_relu(1024, 3);
  net.conv_relu(512, 3);
  net.pool(3, 2);
  for (int k = 0; k < 2; ++k) {
    net.dense(4096);
    net.relu();
  }
  net.dense(1000);
  return net.finish();
}

inline StepGraph vgg19(int batch) {
  Cnn net(batch, 224);
  const std::pair<int, int> stages[] = {{64, 2}, {128, 2}, {256, 4}, {512, 4}, {512, 4}};
  for (const auto& [channels, repeats] : stages) {
    for (int k = 0; k < repeats; ++k) net.conv_relu(channels, 3);
    net.pool(2, 2);
  }
  for (int k = 0; k < 2; ++k) {
    net.dense(4096);
    net.relu();
    net.same("dropout");
  }
  net.dense(1000);
  return net.finish();
}

// GoogLeNet is Inception v1; v2 normalises after every convolution.
inline StepGraph googlenet(int batch, bool has_norms) {
  Cnn net(batch, 224);
  const auto conv = [&](int channels, int window, int stride = 1) {
    net.conv(channels, window, stride);
    if (has_norms) net.norm();
    net.relu();
  };
  conv(64, 7, 2);
  net.pool(3, 2);
  conv(64, 1);
  conv(192, 3);
  net.pool(3, 2);
  const int blocks[][6] = {
      {64, 96, 128, 16, 32, 32},     {128, 128, 192, 32, 96, 64},   {192, 96, 208, 16, 48, 64},
      {160, 112, 224, 24, 64, 64},   {128, 128, 256, 24, 64, 64},   {112, 144, 288, 32, 64, 64},
      {256, 160, 320, 32, 128, 128}, {256, 160, 320, 32, 128, 128}, {384, 192, 384, 48, 128, 128}};
  for (int k = 0; k < 9; ++k) {
    const Cnn::Image input = net.now;
    const int(&c)[6] = blocks[k];
    std::vector<Cnn::Image> parts;
    conv(c[0], 1);
    parts.push_back(net.now);
    for (const auto& [reduced, channels, window] : {std::array{c[1], c[2], 3}, {c[3], c[4], 5}}) {
      net.now = input;
      conv(reduced, 1);
      conv(channels, window);
      parts.push_back(net.now);
    }
    net.now = input;
    net.pool(3, 1, 1);
    conv(c[5], 1);
    parts.push_back(net.now);
    net.concat(parts);
    if (k == 1 || k == 6) net.pool(3, 2);
  }
  net.pool(7, 1);
  net.dense(1000);
  return net.finish();
}

inline StepGraph squeezenet(int batch) {
  Cnn net(batch, 224);
  net.conv_relu(64, 3, 2, 0);
  net.pool(3, 2);
  const int squeezes[] = {16, 16, 32, 32, 48, 48, 64, 64};
  for (int k = 0; k < 8; ++k) {
    if (k == 2 || k == 4) net.pool(3, 2);
    net.conv_relu(squeezes[k], 1);
    const Cnn::Image squeezed = net.now;
    net.conv_relu(4 * squeezes[k], 1);
    const Cnn::Image narrow = net.now;
    net.now = squeezed;
    net.conv_relu(4 * squeezes[k], 3);
    net.concat({narrow, net.now});
  }
  net.conv_relu(1000, 1);
  net.pool(net.now.side, 1);
  return net.finish();
}

inline StepGraph resnet50(int batch) {
  Cnn net(batch, 224);
  net.conv_norm_relu(64, 7, 2);
  net.pool(3, 2);
  const int repeats[] = {3, 4, 6, 3};
  for (int stage = 0; stage < 4; ++stage) {
    const int width = 64 << stage;
    for (int k = 0; k < repeats[stage]; ++k) {
      const Cnn::Image input = net.now;
      const int stride = k == 0 && stage > 0 ? 2 : 1;
      net.conv_norm_relu(width, 1);
      net.conv_norm_relu(width, 3, stride);
      net.conv(4 * width, 1);
      net.norm();
      const Cnn::Image branch = net.now;
      net.now = input;
      if (k == 0) {
        net.conv(4 * width, 1, stride);
        net.norm();
      }
      net.add(branch);
      net.relu();
    }
  }
  net.pool(7, 1);
  net.dense(1000);
  return net.finish();
}

inline StepGraph densenet121(int batch) {
  Cnn net(batch, 224);
  net.conv_norm_relu(64, 7, 2);
  net.pool(3, 2);
  const int repeats[] = {6, 12, 24, 16};
  for (int stage = 0; stage < 4; ++stage) {
    for (int k = 0; k < repeats[stage]; ++k) {
      const Cnn::Image input = net.now;
      net.norm();
      net.relu();
      net.conv_norm_relu(128, 1);
      net.conv(32, 3);
      net.concat({input, net.now});
    }
    net.norm();
    net.relu();
    if (stage == 3) break;
    net.conv(net.now.channels / 2, 1);
    net.pool(2, 2);
  }
  net.pool(7, 1);
  net.dense(1000);
  return net.finish();
}

// Channel shuffles copy; depthwise convolutions in groups of one.
inline StepGraph shufflenet(int batch) {
  Cnn net(batch, 224);
  net.conv_norm_relu(24, 3, 2);
  net.pool(3, 2);
  const std::pair<int, int> stages[] = {{272, 4}, {544, 8}, {1088, 4}};
  for (const auto& [channels, repeats] : stages) {
    for (int k = 0; k < repeats; ++k) {
      const Cnn::Image input = net.now;
      const int made = k == 0 ? channels - input.channels : channels;
      net.conv(channels / 4, 1, 1, 0, 4);
      net.norm();
      net.relu();
      net.same("shuffle");
      net.conv(channels / 4, 3, k == 0 ? 2 : 1, 1, channels / 4);
      net.norm();
      net.conv(made, 1, 1, 0, 4);
      net.norm();
      const Cnn::Image branch = net.now;
      net.now = input;
      if (k == 0) {
        net.pool(3, 2, 0);
        net.concat({net.now, branch});
      } else {
        net.add(branch);
      }
      net.relu();
    }
  }
  net.pool(net.now.side, 1);
  net.dense(1000);
  return net.finish();
}

// Convolution, batch norm and leaky ReLU as separate ops, as darknet's configurations have them.
struct Darknet : Cnn {
  using Cnn::Cnn;
  void layer(int channels, int window, int stride = 1, bool has_norm = true) {
    conv(channels, window, stride);
    if (has_norm) norm();
    same("leaky");
  }
};

inline StepGraph yolov1(int batch) {
  Darknet net(batch, 448);
  const auto pair = [&](int narrow, int wide, int repeats) {
    for (int k = 0; k < repeats; ++k) {
      net.layer(narrow, 1);
      net.layer(wide, 3);
    }
  };
  net.layer(64, 7, 2);
  net.pool(2, 2);
  net.layer(192, 3);
  net.pool(2, 2);
  pair(128, 256, 1);
  pair(256, 512, 1);
  net.pool(2, 2);
  pair(256, 512, 4);
  pair(512, 1024, 1);
  net.pool(2, 2);
  pair(512, 1024, 2);
  net.layer(1024, 3);
  net.layer(1024, 3, 2);
  net.layer(1024, 3);
  net.layer(1024, 3);
  net.local(256, 3);
  net.same("leaky");
  net.dense(1715);
  return net.finish(false);
}

inline StepGraph yolo9000(int batch) {
  Darknet net(batch, 544);
  const std::vector<std::vector<int>> stages = {{32},
                                                {64},
                                                {128, 64, 128},
                                                {256, 128, 256},
                                                {512, 256, 512, 256, 512},
                                                {1024, 512, 1024, 512, 1024}};
  for (std::size_t stage = 0; stage < stages.size(); ++stage) {
    if (stage > 0) net.pool(2, 2);
    for (std::size_t k = 0; k < stages[stage].size(); ++k) {
      net.layer(stages[stage][k], k % 2 == 0 ? 3 : 1);
    }
  }
  net.conv(28269, 1);
  return net.finish(false);
}

}  // namespace tidemark::testing
