#include "tidemark/plan/plan_json.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <random>
#include <stdexcept>
#include <string>

#include "graph/small_graph.h"
#include "tidemark/plan/signature.h"

namespace tidemark {
namespace {

using testing::small_graph;

Plan small_plan() {
  Plan plan{.policy = "lookahead", .budget_bytes = 1000, .signature = signature(small_graph())};
  plan.graph_hash = 0xFEDCBA9876543210u;
  plan.actions = {
      {.event = 2, .actions = {{ActionKind::kKeep, 2}, {ActionKind::kDrop, 3}}},
      {.event = 4,
       .actions = {{ActionKind::kReplay, 0}, {ActionKind::kReplay, 1}, {ActionKind::kDrop, 2}}},
  };
  plan.values = {{.value = 2, .block = 2, .version = 0}, {.value = 3, .block = 2, .version = 1}};
  plan.peak_bytes = 128;
  plan.peak_event = 5;
  plan.unplanned_peak_bytes = 140;
  plan.floor_bytes = 100;
  plan.least_feasible_bytes = 120;
  plan.step_ns = 13;
  plan.recompute_ns = 11;
  plan.lower_bound_ns = 3;
  plan.num_replays = 2;
  plan.num_ops = 4;
  plan.num_values = 7;
  return plan;
}

std::string complaint_about(std::string_view json) {
  try {
    plan_from_json(json);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

std::string complaint_about(const Plan& plan) {
  try {
    to_json(plan);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

std::string with(std::string json, const std::string& old, const std::string& replacement) {
  const auto at = json.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return json.replace(at, old.size(), replacement);
}

TEST(PlanJson, ComesBackAsItWas) {
  EXPECT_EQ(plan_from_json(to_json(small_plan())), small_plan());
  EXPECT_EQ(plan_from_json(to_json(Plan())), Plan());
}

TEST(PlanJson, OfEqualPlansIsTheSameBytes) {
  EXPECT_EQ(to_json(small_plan()), to_json(plan_from_json(to_json(small_plan()))));
}

TEST(PlanJson, LeavesOutTheLeastFeasibleBudgetThatNobodyAskedFor) {
  Plan plan = small_plan();
  plan.least_feasible_bytes.reset();
  EXPECT_EQ(to_json(plan).find("least_feasible_bytes"), std::string::npos);
  EXPECT_EQ(plan_from_json(to_json(plan)), plan);
}

TEST(PlanJson, WritesTheHashAsTextThatDoublesCannotRound) {
  EXPECT_NE(to_json(small_plan()).find("\"graph_hash\":\"0xfedcba9876543210\""), std::string::npos);
}

TEST(PlanJson, PutsTheActionsOfOneEventOnOneLine) {
  EXPECT_NE(to_json(small_plan()).find("\n{\"event\":4,\"replay\":[0,1],\"drop\":[2]}\n"),
            std::string::npos);
}

TEST(PlanJson, OrdersActionsThatAFileGivesInAnotherOrder) {
  const std::string json =
      with(to_json(small_plan()), "\"replay\":[0,1],\"drop\":[2]", "\"drop\":[2],\"replay\":[0,1]");
  EXPECT_EQ(plan_from_json(json), small_plan());
}

TEST(PlanJson, SaysWhereGarbageIs) {
  EXPECT_EQ(complaint_about("{\"version\":1,\n\"budget_bytes\":-4}"),
            "plan: line 2, column 16, budget_bytes: -4 is negative, expected >= 0");
  EXPECT_NE(complaint_about("{\"version\":3}").find("expected 1"), std::string::npos);
  EXPECT_NE(complaint_about("{\"version\":1}").find("\"graph_hash\" is missing"),
            std::string::npos);
  EXPECT_NE(complaint_about("{\"graph_hash\":\"12\"}").find("is not a hash"), std::string::npos);
  EXPECT_NE(complaint_about("{\"actions\":[{\"drop\":[1]}]}").find("no \"event\""),
            std::string::npos);
}

TEST(PlanJson, RefusesReplaysOutOfOpOrder) {
  const std::string json = with(to_json(small_plan()), "[0,1],\"drop\"", "[1,0],\"drop\"");
  EXPECT_NE(complaint_about(json).find("event 4: replays go in op order"), std::string::npos);
}

TEST(PlanJson, RefusesValuesThatItDoesNotPlace) {
  const std::string json = with(to_json(small_plan()), "\"keep\":[2]", "\"keep\":[5]");
  EXPECT_NE(complaint_about(json).find("event 2 name value 5"), std::string::npos);
}

TEST(PlanJson, RefusesEventsThatDoNotRise) {
  const std::string json =
      with(to_json(small_plan()), "{\"event\":4,\"replay\"", "{\"event\":2,\"replay\"");
  EXPECT_NE(complaint_about(json).find("actions[1] is not after"), std::string::npos);
}

TEST(PlanJson, RefusesEntryBlocksWithoutSizes) {
  const std::string json =
      with(to_json(small_plan()), "\"entry_block_bytes\":[64,32]", "\"entry_block_bytes\":[64]");
  EXPECT_NE(complaint_about(json).find("entry_block_bytes"), std::string::npos);
}

TEST(PlanJson, IsNotWrittenForActionsInTheWrongOrder) {
  Plan plan = small_plan();
  std::swap(plan.actions[0].actions[0], plan.actions[0].actions[1]);
  EXPECT_NE(complaint_about(plan).find("replays, then keeps, then drops"), std::string::npos);
}

TEST(PlanJson, IsNotWrittenForAnEventWithoutActions) {
  Plan plan = small_plan();
  plan.actions[0].actions.clear();
  EXPECT_NE(complaint_about(plan).find("leave the event out"), std::string::npos);
}

TEST(PlanJson, CutOffAnywhereIsRefused) {
  const std::string json = to_json(small_plan());
  for (std::size_t length = 0; length + 2 < json.size(); ++length) {
    EXPECT_NE(complaint_about(std::string_view(json).substr(0, length)), "") << "at " << length;
  }
}

TEST(PlanJson, FlippedBytesNeverCrash) {
  const std::string whole = to_json(small_plan());
  std::mt19937 random(20261121);
  for (int round = 0; round < 20000; ++round) {
    std::string json = whole;
    json[random() % json.size()] = static_cast<char>(random() & 0xFF);
    json[random() % json.size()] = static_cast<char>('0' + random() % 10);
    try {
      const Plan plan = plan_from_json(json);
      ASSERT_EQ(plan_from_json(to_json(plan)), plan);
    } catch (const std::invalid_argument&) {
    }
  }
}

TEST(PlanJson, SavedAndLoadedIsTheSame) {
  const std::string path = ::testing::TempDir() + "tidemark_plan_json_test.json";
  save_plan(small_plan(), path);
  EXPECT_EQ(load_plan(path), small_plan());
  std::remove(path.c_str());
}

}  // namespace
}  // namespace tidemark
