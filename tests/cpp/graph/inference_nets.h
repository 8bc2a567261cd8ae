// Inference programs of the literature as step graphs: ops with named results, in order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tidemark/graph/completion.h"
#include "tidemark/graph/graph.h"
#include "tidemark/graph/use_lifetime.h"

namespace tidemark::testing {

class NetBuilder {
 public:
  // An input, a weight or a constant.
  ValueIndex source(const std::string& name, Bytes bytes) { return add(name, bytes, kNone); }

  // An op that reads `inputs` and makes `name`.
  ValueIndex op(const std::string& name, std::vector<ValueIndex> inputs, Bytes bytes) {
    graph_.events.push_back({.name = name, .inputs = std::move(inputs)});
    return result(name, bytes);
  }

  // One more result of the last op.
  ValueIndex result(const std::string& name, Bytes bytes) {
    const ValueIndex v = add(name, bytes, graph_.num_events() - 1);
    graph_.events.back().outputs.push_back(v);
    return v;
  }

  // The last op writes `input` in place instead of making its result in a block of its own.
  void in_place(ValueIndex input) {
    const ValueIndex output = graph_.events.back().outputs.front();
    graph_.values[output].block = graph_.values[input].block;
    graph_.values[output].version = graph_.values[input].version + 1;
    graph_.values[input].overwritten_at = graph_.num_events() - 1;
    graph_.events.back().in_place = {{input, output}};
  }

  StepGraph finish(ValueIndex output) {
    graph_.has_runtime_actions = false;
    graph_.values[output].persistent = true;
    complete_holds(graph_);
    complete_entry(graph_);
    return graph_;
  }

 private:
  ValueIndex add(const std::string& name, Bytes bytes, EventIndex producer) {
    graph_.values.push_back(
        {.block = graph_.num_values(), .bytes = bytes, .producer = producer, .scope = name});
    return graph_.num_values() - 1;
  }

  StepGraph graph_;
};

// Caffe's LeNet at batch 1 as ONNX has it.
inline StepGraph lenet() {
  NetBuilder net;
  const auto data = net.source("data_0", 3136);
  const auto w1 = net.source("conv1_w_0", 2000);
  const auto b1 = net.source("conv1_b_0", 80);
  auto x = net.op("conv1_1", {data, w1, b1}, 46080);
  x = net.op("pool1_1", {x}, 11520);
  const auto w2 = net.source("conv2_w_0", 100000);
  const auto b2 = net.source("conv2_b_0", 200);
  x = net.op("conv2_1", {x, w2, b2}, 12800);
  x = net.op("pool2_1", {x}, 3200);
  const auto shape = net.source("shape", 16);
  x = net.op("reshape", {x, shape}, 3200);
  const auto w3 = net.source("ip1_w", 1600000);
  const auto b3 = net.source("ip1_b", 2000);
  x = net.op("ip1_1", {x, w3, b3}, 2000);
  x = net.op("ip1_2", {x}, 2000);
  const auto w4 = net.source("ip2_w", 20000);
  const auto b4 = net.source("ip2_b", 40);
  x = net.op("ip2_1", {x, w4, b4}, 40);
  return net.finish(net.op("prob_1", {x}, 40));
}

// AlexNet as ONNC's unit tests build it. The two tests differ: one has dropout layers with masks,
// the other a reshape by a constant.
inline StepGraph alexnet(bool has_dropout, bool has_reshape) {
  NetBuilder net;
  auto x = net.source("data_0", 8);
  std::vector<std::pair<ValueIndex, ValueIndex>> weights;
  for (const std::string layer :
       {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"}) {
    const ValueIndex w = net.source(layer + "_w", 8);
    weights.emplace_back(w, net.source(layer + "_b", 8));
  }
  const ValueIndex shape = has_reshape ? net.source("OC2_DUMMY_1", 8) : kNone;
  const auto layer = [&](const std::string& name, int k) {
    x = net.op(name, {x, weights[k].first, weights[k].second}, 8);
  };
  const auto follow = [&](const std::string& name) { x = net.op(name, {x}, 8); };
  for (int k = 0; k < 5; ++k) {
    const std::string number = std::to_string(k + 1);
    layer("conv" + number + "_1", k);
    follow("conv" + number + "_2");
    if (k < 2) follow("norm" + number);
    if (k < 2 || k == 4) follow("pool" + number);
  }
  if (has_reshape) x = net.op("reshape", {x, shape}, 8);
  for (int k = 5; k < 8; ++k) {
    const std::string number = std::to_string(k + 1);
    layer("fc" + number + "_1", k);
    if (k == 7) break;
    follow("fc" + number + "_2");
    if (!has_dropout) continue;
    follow("fc" + number + "_3");
    net.result("fc" + number + "_mask", 8);
  }
  follow("prob");
  return net.finish(x);
}

}  // namespace tidemark::testing
