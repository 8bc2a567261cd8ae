#include "tidemark/report/composition.h"

#include <gtest/gtest.h>

#include <vector>

#include "report/example_step.h"
#include "tidemark/graph/graph_json.h"
#include "tidemark/plan/planner.h"
#include "tidemark/plan/policies.h"
#include "tidemark/plan/simulate.h"

namespace tidemark {
namespace {

std::vector<ValueIndex> indices(const std::vector<ResidentValue>& residents) {
  std::vector<ValueIndex> result;
  result.reserve(residents.size());
  for (const ResidentValue& resident : residents) result.push_back(resident.value);
  return result;
}

Bytes bytes_at(const StepGraph& graph, const Plan& plan, EventIndex event) {
  Bytes sum = graph.entry.other_bytes;
  for (const ResidentValue& resident : resident_values(graph, plan, event)) {
    sum += graph.values[static_cast<std::size_t>(resident.value)].bytes;
  }
  return sum;
}

TEST(Composition, KeepsSavedValuesWithoutAPlan) {
  const StepGraph graph = example_step();

  EXPECT_EQ(indices(resident_values(graph, Plan{}, 1)), (std::vector<ValueIndex>{0, 1, 2}));
  EXPECT_EQ(indices(resident_values(graph, Plan{}, 2)), (std::vector<ValueIndex>{0, 1, 2, 3}));
  EXPECT_EQ(indices(resident_values(graph, Plan{}, 4)), (std::vector<ValueIndex>{0, 1, 3, 4}));
}

TEST(Composition, LeavesOutADroppedValueUntilItIsComputedAgain) {
  const StepGraph graph = example_step();
  const Plan plan = example_plan();

  EXPECT_EQ(indices(resident_values(graph, plan, 2)), (std::vector<ValueIndex>{0, 2, 3}));

  const auto at_unpack = resident_values(graph, plan, 3);
  EXPECT_EQ(indices(at_unpack), (std::vector<ValueIndex>{0, 1, 3}));
  EXPECT_TRUE(at_unpack[1].is_restored);
  EXPECT_FALSE(at_unpack[0].is_restored);
}

TEST(Composition, AddsUpToTheSimulatedCurve) {
  const StepGraph graph = example_step();
  for (const Plan& plan : {Plan{}, example_plan()}) {
    const Simulation simulation = simulate(graph, plan);
    for (EventIndex event = 0; event < graph.num_events(); ++event) {
      EXPECT_EQ(bytes_at(graph, plan, event),
                simulation.curve[static_cast<std::size_t>(event)].after)
          << "at event " << event;
    }
  }
}

TEST(Composition, AddsUpInARecordedStepUnderEveryPlanOfItsFrontier) {
  const StepGraph graph = load_graph(TIDEMARK_TEST_DATA "/mlp3.json");
  for (const Plan& plan : frontier(graph).plans) {
    const Simulation simulation = simulate(graph, plan);
    for (EventIndex event = 0; event < graph.num_events(); ++event) {
      EXPECT_EQ(bytes_at(graph, plan, event),
                simulation.curve[static_cast<std::size_t>(event)].after)
          << plan.policy << " at " << plan.budget_bytes << " B, event " << event;
    }
  }
}

TEST(Composition, AddsUpInARecordedStepUnderThePlansOfEveryPolicy) {
  const StepGraph graph = load_graph(TIDEMARK_TEST_DATA "/mlp3.json");
  for (const std::string& policy : policies()) {
    for (const Plan& plan : frontier(graph, {}, {.policy = policy}, 40).plans) {
      const Simulation simulation = simulate(graph, plan);
      for (EventIndex event = 0; event < graph.num_events(); ++event) {
        ASSERT_EQ(bytes_at(graph, plan, event),
                  simulation.curve[static_cast<std::size_t>(event)].after)
            << plan.policy << " at " << plan.budget_bytes << " B, event " << event;
      }
    }
  }
}

TEST(Composition, CountsABlockOnceAsItsNewestVersion) {
  StepGraph graph = example_step();
  Value written = graph.values[2];  // b is written in place by the loss op: b' in the same block
  graph.values[2].overwritten_at = 2;
  graph.values[2].holds = {{1, 2}};
  graph.values[2].handles = {{1, 1, 4}};
  written.version = 1;
  written.producer = 2;
  written.holds = {{2, 4}};
  graph.values.push_back(written);

  EXPECT_EQ(indices(resident_values(graph, Plan{}, 2)), (std::vector<ValueIndex>{0, 1, 3, 5}));
}

TEST(Composition, NamesAValueByItsScopeItsProducerOrItsCategory) {
  const StepGraph graph = example_step();

  EXPECT_EQ(scope_of(graph, 0), "net.0.weight");
  EXPECT_EQ(scope_of(graph, 2), "net.1");
  EXPECT_EQ(scope_of(graph, 3), "(Other)");
}

}  // namespace
}  // namespace tidemark
