// generate: the training steps of well-known models, without running or owning any of them.
//
//   StepGraph step = generate("resnet50", {.batch = 32, .device = device_profile("a100")});
//
// For tests, for benchmarks, and for planning a model on a device that is not there. The graphs
// have the ops, saved tensors and lifetimes of eager PyTorch (step_builder.h says how they are
// worked out) and costs from a device profile.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/generate/optimizer.h"
#include "tidemark/graph/device_profile.h"
#include "tidemark/graph/graph.h"

namespace tidemark {

struct GenerateOptions {
  std::int64_t batch = 0;  // samples in a step; 0: what models() says
  std::int64_t size = 0;   // side of an image, tokens of a sequence; 0: what models() says
  DeviceProfile device = device_profile("cpu");
  int element_bytes = 4;  // of parameters and activations: 4 or 2
  Optimizer optimizer = Optimizer::kSgd;
};

// A model or a family of them.
struct GeneratedModel {
  std::string name;         // "vgg19"; "resnet<depth>" takes a number
  std::string description;  // one line
  std::int64_t batch = 0;
  std::int64_t size = 0;  // 0: has none
};

TIDEMARK_API const std::vector<GeneratedModel>& generated_models();

// Returns a step of the model of that name.
// Throws std::invalid_argument naming the models that exist, or what is wrong with the options.
TIDEMARK_API StepGraph generate(std::string_view model, const GenerateOptions& options = {});

}  // namespace tidemark
