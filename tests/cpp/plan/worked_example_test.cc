// The worked example of docs/step-graph.md: a 3-layer MLP with dropout and an in-place ReLU. Its
// numbers were derived by hand from the rules, not by the code that is tested against them.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "graph/json_schema.h"
#include "graph/small_graph.h"
#include "tidemark/graph/graph_json.h"
#include "tidemark/graph/lifetime.h"
#include "tidemark/plan/plan_json.h"
#include "tidemark/plan/signature.h"
#include "tidemark/plan/simulate.h"
#include "tidemark/plan/validate.h"

namespace tidemark {
namespace {

using nlohmann::json;
using testing::JsonSchema;

std::string read(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::string data(const std::string& name) { return std::string(TIDEMARK_TEST_DATA "/") + name; }

json document(const std::string& path) { return json::parse(read(path)); }

JsonSchema schema(const std::string& name) {
  return JsonSchema(document(std::string(TIDEMARK_DOCS "/") + name));
}

StepGraph example_graph() { return load_graph(data("mlp3.json")); }
Plan example_plan() { return load_plan(data("mlp3_plan.json")); }

std::vector<Reading> expected_curve(const char* name) {
  std::vector<Reading> curve;
  const json curves = document(data("mlp3_curves.json"));
  for (const json& row : curves.at(name)) {
    curve.push_back({row.at(0), row.at(1), row.at(2)});
  }
  return curve;
}

void expect_curve(const std::vector<Reading>& found, const std::vector<Reading>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t e = 0; e < found.size(); ++e) {
    EXPECT_EQ(found[e].before, expected[e].before) << "live_before of event " << e;
    EXPECT_EQ(found[e].peak, expected[e].peak) << "live_peak of event " << e;
    EXPECT_EQ(found[e].after, expected[e].after) << "live_after of event " << e;
  }
}

TEST(WorkedExample, CurveWithEverythingKeptIsTheOneDerivedByHand) {
  expect_curve(simulate(example_graph()).curve, expected_curve("keep_all"));
}

TEST(WorkedExample, CurveOfThePlanIsTheOneDerivedByHand) {
  const Simulation simulation = simulate(example_graph(), example_plan());
  expect_curve(simulation.curve, expected_curve("planned"));
  EXPECT_EQ(simulation.num_clones, 0) << "the ReLU writes into a temporary read for the last time";
}

TEST(WorkedExample, PlanKeepsItsPromises) {
  const Plan plan = example_plan();
  const Simulation simulation = simulate(example_graph(), plan);
  EXPECT_EQ(simulation.peak_bytes, plan.peak_bytes);
  EXPECT_EQ(simulation.peak_event, plan.peak_event);
  EXPECT_EQ(simulation.num_replays, plan.num_replays);
  EXPECT_EQ(simulation.recompute_ns, plan.recompute_ns);
  EXPECT_EQ(simulation.step_ns, plan.step_ns);
  EXPECT_EQ(simulate(example_graph()).peak_bytes, plan.unplanned_peak_bytes);
  EXPECT_LE(plan.peak_bytes, plan.budget_bytes);
}

TEST(WorkedExample, PlanBreaksNoRule) {
  const std::optional<Violation> violation = validate(example_graph(), example_plan());
  EXPECT_FALSE(violation.has_value()) << violation->sentence;
}

TEST(WorkedExample, PlanIsForTheGraph) {
  const StepGraph graph = example_graph();
  const Plan plan = example_plan();
  EXPECT_EQ(plan.graph_hash, graph_hash(graph));
  EXPECT_EQ(first_difference(plan.signature, signature(graph)), std::nullopt);
  EXPECT_EQ(plan.signature, signature(graph));
}

TEST(WorkedExample, HasSixGapsInFiveValues) {
  const std::vector<Gap> expected = {{4, {6, 25}},  {7, {6, 23}},   {8, {7, 19}},
                                     {12, {9, 13}}, {12, {16, 17}}, {15, {10, 11}}};
  EXPECT_EQ(gaps(example_graph()), expected);
}

TEST(WorkedExample, FilesAreAsTheWritersWriteThem) {
  EXPECT_EQ(to_json(example_graph()), read(data("mlp3.json")));
  EXPECT_EQ(to_json(example_plan()), read(data("mlp3_plan.json")));
}

TEST(Schemas, AcceptTheWorkedExample) {
  EXPECT_EQ(schema("step-graph.schema.json").violation(document(data("mlp3.json"))), "");
  EXPECT_EQ(schema("plan.schema.json").violation(document(data("mlp3_plan.json"))), "");
}

TEST(Schemas, AcceptEveryFieldThatTheWritersWrite) {
  StepGraph graph = testing::small_graph();
  graph.is_estimate = true;
  graph.entry.other_bytes = 1;
  graph.events[0].frees = {1};
  graph.events[0].pinned = "why";
  graph.events[0].rng = true;
  graph.events[0].source = "a.py:1";
  graph.values[4].gc_held = true;
  const json document = json::parse(to_json(graph));
  EXPECT_EQ(schema("step-graph.schema.json").violation(document), "");
}

TEST(Schemas, RefuseWhatTheReadersRefuse) {
  const JsonSchema graphs = schema("step-graph.schema.json");
  for (const char* text :
       {R"({"version":2,"events":[],"values":[]})", R"({"version":1,"events":[]})",
        R"({"version":1,"events":[],"values":[{}]})",
        R"({"version":1,"events":[{"nme":"a"}],"values":[]})",
        R"({"version":1,"events":[{"inputs":[-1]}],"values":[]})",
        R"({"version":1,"events":[],"values":[{"bytes":1,"holds":[[1]]}]})",
        R"({"version":1,"events":[],"values":[{"bytes":1.5}]})"}) {
    EXPECT_NE(graphs.violation(json::parse(text)), "") << text;
    EXPECT_THROW(graph_from_json(text), std::invalid_argument) << text;
  }
  EXPECT_NE(schema("plan.schema.json").violation(json::parse(R"({"graph_hash":"12"})")), "");
}

}  // namespace
}  // namespace tidemark
