#include "tidemark/report/sharing.h"

#include <gtest/gtest.h>

#include <string>

#include "tidemark/generate/generate.h"
#include "tidemark/graph/graph_json.h"

namespace tidemark {
namespace {

constexpr Bytes kLayer = 32768;  // an activation or its gradient in the worked example

StepGraph example() { return load_graph(TIDEMARK_TEST_DATA "/mlp3.json"); }

Sharing sharing_of(const StepGraph& graph) { return sharing_of(graph, simulate(graph)); }

TEST(Sharing, D3OfTheWorkedExampleIsWhatItsTableSays) {
  const Sharing sharing = sharing_of(example());

  EXPECT_EQ(sharing.derivative_bytes, 2048 + 5 * kLayer);  // v20, v21, v24, v25, v28, v29
  EXPECT_EQ(sharing.live_derivative_bytes, 2 * kLayer);
}

TEST(Sharing, D1WritesOverWhatDiesWithTheOpAndIsAsLarge) {
  const StepGraph graph = example();
  Simulation simulation = simulate(graph);
  // The peak is an op of other sizes: nothing is to be won.
  EXPECT_EQ(sharing_of(graph, simulation).in_place_peak_bytes, simulation.peak_bytes);

  // At event 18, threshold_backward, v21 dies and v24 is made.
  simulation.curve[18].peak = simulation.peak_bytes + 1000;
  EXPECT_EQ(sharing_of(graph, simulation).in_place_peak_bytes, simulation.peak_bytes);
  simulation.curve[18].peak = simulation.peak_bytes + kLayer + 1000;
  EXPECT_EQ(sharing_of(graph, simulation).in_place_peak_bytes, simulation.peak_bytes + 1000);

  // At event 20, mm, v24 is read again later, and a product cannot be written over its factor.
  simulation.curve[20].peak = simulation.peak_bytes + 5000;
  EXPECT_EQ(sharing_of(graph, simulation).in_place_peak_bytes, simulation.peak_bytes + 5000);
}

TEST(Sharing, D2LeavesAloneWhatIsReadLater) {
  StepGraph graph = example();
  for (const ValueIndex v : {21, 12}) graph.values[v].holds.back().end = 24;
  Simulation simulation = simulate(graph);
  simulation.curve[18].peak = simulation.peak_bytes + 1000;

  EXPECT_EQ(sharing_of(graph, simulation).in_place_peak_bytes, simulation.peak_bytes + 1000);
}

TEST(Sharing, G2EndsAGradientWithTheNodeThatCompletesIt) {
  const StepGraph graph = example();
  const Simulation simulation = simulate(graph);
  const Sharing sharing = sharing_of(graph, simulation);

  EXPECT_EQ(sharing.gradient_bytes, 16384 + 64 + 262144 + 1024 + 65536 + 1024);
  // The peak lies where linear2's gradients are made: those of linear3 are gone.
  EXPECT_EQ(sharing.by_parameter_peak_bytes, simulation.peak_bytes - 16384 - 64);
}

TEST(Sharing, G5KeepsThoseOfAModuleTogether) {
  StepGraph graph = example();
  // linear3's weight belongs to the module whose other gradients are made later.
  graph.values[22].scope = "linear2.extra";
  const Simulation simulation = simulate(graph);
  const Sharing sharing = sharing_of(graph, simulation);

  EXPECT_EQ(sharing.by_module_peak_bytes, simulation.peak_bytes - 64);
  EXPECT_EQ(sharing.by_parameter_peak_bytes, simulation.peak_bytes - 16384 - 64);
}

TEST(Sharing, AGradientThatAnOlderOneIsAddedToStays) {
  StepGraph graph = example();
  Value older = graph.values[22];
  older.producer = kNone;
  older.holds = {{0, 15}};
  older.overwritten_at = 15;
  older.persistent = false;
  graph.values[22].version = 1;
  graph.events[15].in_place = {{static_cast<ValueIndex>(graph.values.size()), 22}};
  graph.events[15].inputs.push_back(static_cast<ValueIndex>(graph.values.size()));
  graph.values.push_back(older);
  const Simulation simulation = simulate(graph);

  EXPECT_EQ(sharing_of(graph, simulation).by_parameter_peak_bytes, simulation.peak_bytes - 64);
}

TEST(Sharing, NeverCostsMoreThanItShares) {
  for (const std::string name : {"resnet18", "unet", "gpt2_small", "lstm8", "vgg11"}) {
    const StepGraph graph = generate(name);
    const Bytes peak = simulate(graph).peak_bytes;
    const Sharing sharing = sharing_of(graph);

    EXPECT_LE(sharing.live_derivative_bytes, sharing.derivative_bytes) << name;
    EXPECT_LE(sharing.in_place_peak_bytes, peak) << name;
    EXPECT_LE(sharing.by_parameter_peak_bytes, sharing.by_module_peak_bytes) << name;
    EXPECT_LE(sharing.by_module_peak_bytes, peak) << name;
    EXPECT_GT(sharing.gradient_bytes, 0) << name;
  }
}

TEST(Sharing, OfAStepWithoutBackwardIsNothing) {
  const Sharing sharing = sharing_of(StepGraph{});

  EXPECT_EQ(sharing, Sharing{});
}

}  // namespace
}  // namespace tidemark
