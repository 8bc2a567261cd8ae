#include "tidemark/generate/generate.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tidemark/graph/graph_json.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/planner.h"
#include "tidemark/plan/simulate.h"
#include "tidemark/plan/validate.h"

namespace tidemark {
namespace {

std::int64_t num_parameters(const StepGraph& graph) {
  return graph.entry.bytes_by_category[static_cast<int>(Category::kParameter)] / 4;
}

// Bytes that autograd saves, the parameters aside.
Bytes saved_bytes(const StepGraph& graph) {
  Bytes bytes = 0;
  for (const Value& value : graph.values)
    if (value.category != Category::kParameter && !value.handles.empty()) bytes += value.bytes;
  return bytes;
}

TEST(Generate, HasAsManyParametersAsTheModelsOfTorchvisionAndTransformers) {
  const GenerateOptions one{.batch = 1};
  EXPECT_EQ(num_parameters(generate("resnet18", one)), 11'689'512);
  EXPECT_EQ(num_parameters(generate("resnet50", one)), 25'557'032);
  EXPECT_EQ(num_parameters(generate("vgg16", one)), 138'357'544);
  EXPECT_EQ(num_parameters(generate("vgg19", one)), 143'667'240);
  EXPECT_EQ(num_parameters(generate("densenet121", one)), 7'978'856);
  EXPECT_EQ(num_parameters(generate("inception_v3", one)), 23'834'568);  // less the auxiliary head
  EXPECT_EQ(num_parameters(generate("unet", one)), 31'037'698);
  EXPECT_EQ(num_parameters(generate("gpt2_small", one)), 124'439'808);
  EXPECT_EQ(num_parameters(generate("gpt2_xl", one)), 1'557'611'200);
}

// The paper's "16 million activations": convolution outputs and sums of one sample.
TEST(Generate, ResNet50HasTheConvolutionOutputsAndSumsOfTheSurvey) {
  const StepGraph graph = generate("resnet50", {.batch = 1});
  Bytes convolutions = 0;
  Bytes sums = 0;
  for (const Event& event : graph.events) {
    if (event.phase != Phase::kForward || event.outputs.empty()) continue;
    const Bytes bytes = graph.values[event.outputs.front()].bytes;
    if (event.name == "aten::convolution") convolutions += bytes;
    if (event.name == "aten::add_.Tensor") sums += bytes;
  }
  EXPECT_EQ(convolutions / 4, 11'113'984);
  EXPECT_EQ(sums / 4, 5'519'360);
}

// torch 2.13, counted by torch.autograd.graph.saved_tensors_hooks at batch 2: 82.14 MiB a sample.
TEST(Generate, ResNet50SavesWhatEagerPyTorchSaves) {
  const double per_sample = static_cast<double>(saved_bytes(generate("resnet50", {.batch = 2}))) /
                            2 / static_cast<double>(mib(1));
  EXPECT_NEAR(per_sample, 82.14, 0.25);
}

// Ops of that name in `graph`, and how many of them a replay may write over their first input.
std::pair<int, int> ops_and_marked(const StepGraph& graph, const std::string& name) {
  std::pair<int, int> counts{0, 0};
  for (const Event& event : graph.events) {
    if (event.phase != Phase::kForward || event.name != name) continue;
    ++counts.first;
    if (event.replays_in_place.empty()) continue;
    const InPlace pair{event.inputs.front(), event.outputs.front()};
    EXPECT_EQ(event.replays_in_place, std::vector<InPlace>{pair});
    ++counts.second;
  }
  return counts;
}

TEST(Generate, MarksWhatAReplayMayWriteOverItsFirstInput) {
  using Counts = std::pair<int, int>;
  const StepGraph gpt = generate("gpt2_small", {.batch = 1});
  EXPECT_EQ(ops_and_marked(gpt, "aten::gelu"), Counts(12, 12));
  EXPECT_EQ(ops_and_marked(gpt, "aten::add.Tensor"), Counts(25, 25));
  EXPECT_EQ(ops_and_marked(gpt, "aten::addmm"), Counts(48, 0));
  // A gate is a part of the storage that all of them lie in.
  const StepGraph tree = generate("treelstm2", {.batch = 1});
  EXPECT_EQ(ops_and_marked(tree, "aten::sigmoid"), Counts(8, 0));
  EXPECT_EQ(ops_and_marked(tree, "aten::tanh"), Counts(6, 3));
}

class Models : public ::testing::TestWithParam<const char*> {};

TEST_P(Models, MakeStepsThatPassTheCheckAndComeBackFromJson) {
  const StepGraph graph = generate(GetParam(), {.batch = 2});
  EXPECT_NO_THROW(check(graph));
  EXPECT_EQ(graph_from_json(to_json(graph)), graph);
  EXPECT_EQ(generate(GetParam(), {.batch = 2}), graph);
  EXPECT_GT(simulate(graph).peak_bytes, graph.entry.total_bytes());
}

TEST_P(Models, CanBePlannedAtThreeQuartersOfTheirRange) {
  const StepGraph graph = generate(GetParam(), {.optimizer = Optimizer::kNothing});
  const Bytes floor = memory_floor(graph).bytes;
  const Bytes range = simulate(graph).peak_bytes - floor;
  const auto answer = plan(graph, floor + range / 4 * 3, {.policy = "lookahead"});
  ASSERT_TRUE(answer) << answer.failure().sentence;
  const auto violation = validate(graph, *answer);
  EXPECT_FALSE(violation) << violation->sentence;
}

INSTANTIATE_TEST_SUITE_P(Generated, Models,
                         ::testing::Values("resnet18", "resnet50", "resnet101", "vgg16", "unet",
                                           "densenet121", "inception_v3", "gpt2_small",
                                           "gpt2_small_unfused", "lstm8", "treelstm16", "chain40",
                                           "ragged_chain40", "random100"));

TEST(Generate, OptimizerStateIsThereFromTheStart) {
  const StepGraph adam = generate("chain3", {.optimizer = Optimizer::kAdamW});
  const auto& bytes = adam.entry.bytes_by_category;
  EXPECT_EQ(bytes[static_cast<int>(Category::kOptstate)],
            2 * bytes[static_cast<int>(Category::kParameter)]);
  EXPECT_EQ(simulate(adam).peak_bytes - simulate(generate("chain3")).peak_bytes,
            bytes[static_cast<int>(Category::kOptstate)]);
}

TEST(Generate, HalvesHalveTheBytesAndAFasterDeviceTakesLess) {
  const StepGraph full = generate("gpt2_small", {.device = device_profile("a100")});
  const StepGraph half =
      generate("gpt2_small", {.device = device_profile("h100"), .element_bytes = 2});
  EXPECT_EQ(num_parameters(half) * 2, num_parameters(full));
  EXPECT_LT(simulate(half).step_ns * 2, simulate(full).step_ns);
}

std::string complaint(std::string_view model, const GenerateOptions& options = {}) {
  try {
    static_cast<void>(generate(model, options));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(Generate, NamesWhatThereIsWhenAskedForWhatThereIsNot) {
  EXPECT_NE(complaint("alexnet").find("resnet<depth>"), std::string::npos);
  EXPECT_NE(complaint("vgg17").find("11, 13, 16 or 19"), std::string::npos);
  EXPECT_NE(complaint("resnet").find("does not exist"), std::string::npos);
  EXPECT_NE(complaint("resnet-50").find("does not exist"), std::string::npos);
  EXPECT_NE(complaint("lstm0").find("does not exist"), std::string::npos);
  EXPECT_NE(complaint("chain8", {.batch = -1}).find("batch is -1"), std::string::npos);
  EXPECT_NE(complaint("chain8", {.size = 8}).find("no size"), std::string::npos);
  EXPECT_NE(complaint("vgg16", {.size = 8}).find("too small"), std::string::npos);
}

}  // namespace
}  // namespace tidemark
