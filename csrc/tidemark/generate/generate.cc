#include "tidemark/generate/generate.h"

#include <charconv>
#include <optional>

#include "tidemark/base/error.h"
#include "tidemark/generate/image_models.h"
#include "tidemark/generate/sequence_models.h"
#include "tidemark/generate/synthetic_models.h"

namespace tidemark {
namespace {

struct Sizes {
  int number = 0;  // the one in the name
  std::int64_t batch = 0;
  std::int64_t size = 0;
};

// A family: what stands before the number in its names, or the whole name.
struct Family {
  std::string_view prefix;
  std::string_view parameter;  // "" : the name has no number
  std::string_view description;
  std::int64_t batch;
  std::int64_t size;
  bool (*exists)(int number);
  Tensor (*build)(StepBuilder&, const Sizes&);
};

template <int kLayers, std::int64_t kWidth, std::int64_t kHeads, bool kIsFused>
Tensor build_gpt2(StepBuilder& step, const Sizes& s) {
  return gpt2(step, {kLayers, kWidth, kHeads}, kIsFused, s.batch, s.size);
}

constexpr int kMostOps = 1'000'000;

bool always(int) { return true; }
bool any_length(int number) { return number >= 1 && number <= kMostOps; }
bool is_resnet(int d) { return (d >= 54 && d <= kMostOps) || d == 18 || d == 34 || d == 50; }
bool is_vgg(int d) { return d == 11 || d == 13 || d == 16 || d == 19; }
bool is_densenet(int d) { return d == 121 || d == 169 || d == 201; }

constexpr Family kFamilies[] = {
    {"resnet", "<depth>", "residual network; 18, 34, 50, 101, 152, or 54 and deeper", 32, 224,
     is_resnet,
     [](StepBuilder& b, const Sizes& s) { return resnet(b, s.number, s.batch, s.size); }},
    {"vgg", "<depth>", "VGG; 11, 13, 16 or 19", 32, 224, is_vgg,
     [](StepBuilder& b, const Sizes& s) { return vgg(b, s.number, s.batch, s.size); }},
    {"densenet", "<depth>", "DenseNet; 121, 169 or 201", 32, 224, is_densenet,
     [](StepBuilder& b, const Sizes& s) { return densenet(b, s.number, s.batch, s.size); }},
    {"inception_v3", "", "Inception, version 3", 32, 299, always,
     [](StepBuilder& b, const Sizes& s) { return inception(b, s.batch, s.size); }},
    {"unet", "", "U-Net with batch norm", 8, 256, always,
     [](StepBuilder& b, const Sizes& s) { return unet(b, s.batch, s.size); }},
    {"gpt2_small", "", "GPT-2, 12 layers, fused attention", 4, 1024, always,
     build_gpt2<12, 768, 12, true>},
    {"gpt2_medium", "", "GPT-2, 24 layers, fused attention", 4, 1024, always,
     build_gpt2<24, 1024, 16, true>},
    {"gpt2_large", "", "GPT-2, 36 layers, fused attention", 4, 1024, always,
     build_gpt2<36, 1280, 20, true>},
    {"gpt2_xl", "", "GPT-2, 48 layers, fused attention", 4, 1024, always,
     build_gpt2<48, 1600, 25, true>},
    {"gpt2_small_unfused", "", "GPT-2, 12 layers, attention in single ops", 4, 1024, always,
     build_gpt2<12, 768, 12, false>},
    {"lstm", "<steps>", "4 x 1024 LSTM unrolled over time, a loss at every step", 64, 0, any_length,
     [](StepBuilder& b, const Sizes& s) { return lstm(b, {}, s.batch, s.number); }},
    {"treelstm", "<leaves>", "binary tree LSTM, 150 wide", 32, 0, any_length,
     [](StepBuilder& b, const Sizes& s) { return tree_lstm(b, s.number, s.batch, 150); }},
    {"chain", "<length>", "linear layers with GELU, all 512 wide", 1024, 0, any_length,
     [](StepBuilder& b, const Sizes& s) { return dense_chain(b, s.number, false, s.batch); }},
    {"ragged_chain", "<length>", "linear layers with GELU, 128 to 896 wide", 1024, 0, any_length,
     [](StepBuilder& b, const Sizes& s) { return dense_chain(b, s.number, true, s.batch); }},
    {"random", "<ops>", "random network; the number is its seed too", 1024, 0, any_length,
     [](StepBuilder& b, const Sizes& s) {
       return random_network(b, s.number, static_cast<std::uint32_t>(s.number), s.batch);
     }},
};

// Returns the number in `model`, or nothing if it is none of the family's names.
std::optional<int> number_in(std::string_view model, const Family& family) {
  if (model.substr(0, family.prefix.size()) != family.prefix) return std::nullopt;
  const std::string_view digits = model.substr(family.prefix.size());
  if (family.parameter.empty()) return digits.empty() ? std::optional(0) : std::nullopt;
  int number = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
  if (error != std::errc() || end != digits.end()) return std::nullopt;
  return number;
}

std::string model_names() {
  std::string names;
  for (const GeneratedModel& model : generated_models())
    names.append(names.empty() ? "" : ", ").append(model.name);
  return names;
}

void check_options(const GenerateOptions& options, const Family& family) {
  constexpr std::int64_t kMostSamples = 1'000'000;  // so that no product of sizes overflows
  constexpr std::int64_t kMostSize = 100'000;
  TIDEMARK_CHECK_VALUE(options.batch >= 0 && options.batch <= kMostSamples, "batch is ",
                       options.batch, ", it must be from 1 to ", kMostSamples);
  TIDEMARK_CHECK_VALUE(options.size >= 0 && options.size <= kMostSize, "size is ", options.size,
                       ", it must be from 1 to ", kMostSize);
  TIDEMARK_CHECK_VALUE(options.size == 0 || family.size != 0, "size is ", options.size, ", but ",
                       family.prefix, family.parameter, " has no size to choose");
  TIDEMARK_CHECK_VALUE(options.element_bytes == 4 || options.element_bytes == 2,
                       "element_bytes is ", options.element_bytes, ", it must be 4 or 2");
}

StepGraph build(const Family& family, int number, const GenerateOptions& options) {
  check_options(options, family);
  const Sizes sizes{.number = number,
                    .batch = options.batch != 0 ? options.batch : family.batch,
                    .size = options.size != 0 ? options.size : family.size};
  StepBuilder step({options.device, options.element_bytes, options.optimizer});
  StepGraph graph = step.finish(family.build(step, sizes));
  check(graph);  // refuses sizes whose sum is more than any device has
  return graph;
}

}  // namespace

const std::vector<GeneratedModel>& generated_models() {
  static const std::vector<GeneratedModel> models = [] {
    std::vector<GeneratedModel> list;
    for (const Family& f : kFamilies)
      list.push_back({std::string(f.prefix) + std::string(f.parameter), std::string(f.description),
                      f.batch, f.size});
    return list;
  }();
  return models;
}

StepGraph generate(std::string_view model, const GenerateOptions& options) {
  for (const Family& family : kFamilies) {
    const std::optional<int> number = number_in(model, family);
    if (!number) continue;
    TIDEMARK_CHECK_VALUE(family.exists(*number), "model '", model, "' does not exist; ",
                         family.prefix, family.parameter, " is: ", family.description);
    return build(family, *number, options);
  }
  TIDEMARK_CHECK_VALUE(false, "model '", model, "' does not exist; there are ", model_names());
}

}  // namespace tidemark
