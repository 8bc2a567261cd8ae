// Pure functions may be called from any thread: so headers say. Preset `tsan` runs this under the
// thread sanitizer.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "arena/random_instance.h"
#include "tidemark/arena/instance_csv.h"
#include "tidemark/arena/pack.h"
#include "tidemark/graph/device_profile.h"
#include "tidemark/graph/graph_json.h"
#include "tidemark/plan/plan_json.h"
#include "tidemark/plan/planner.h"
#include "tidemark/plan/simulate.h"
#include "tidemark/plan/validate.h"

namespace tidemark {
namespace {

constexpr int kThreads = 4;

// What `work` gives in each of several threads that run at once.
std::vector<std::string> in_threads(const std::function<std::string()>& work) {
  std::vector<std::string> results(kThreads);
  std::vector<std::jthread> threads;
  threads.reserve(kThreads);
  for (std::string& result : results) threads.emplace_back([&] { result = work(); });
  threads.clear();
  return results;
}

void expect_as_alone(const std::function<std::string()>& work) {
  const std::string alone = work();
  for (const std::string& result : in_threads(work)) EXPECT_EQ(result, alone);
}

TEST(Concurrency, PlansOfOneGraphAreAsAlone) {
  const StepGraph graph = load_graph(TIDEMARK_TEST_DATA "/mlp3.json");
  const Bytes unplanned = simulate(graph).peak_bytes;
  for (const std::string& policy : policies()) {
    expect_as_alone([&] {
      const auto plan = tidemark::plan(graph, unplanned * 9 / 10, {.policy = policy});
      if (!plan) return plan.failure().sentence;
      EXPECT_FALSE(validate(graph, *plan));
      return to_json(*plan) + std::to_string(simulate(graph, *plan).peak_bytes);
    });
  }
}

TEST(Concurrency, LayoutsOfOneInstanceAreAsAlone) {
  const Instance instance =
      testing::RandomInstance(1).make({.num_buffers = 40, .num_times = 30, .largest = 1000});
  expect_as_alone([&] { return to_csv(instance, pack(instance, {.work_limit = 100'000}).layout); });
}

TEST(Concurrency, ReadersAndTablesAreAsAlone) {
  expect_as_alone([] {
    const StepGraph graph = load_graph(TIDEMARK_TEST_DATA "/mlp3.json");
    return to_json(graph) + to_json(device_profile("h100"));
  });
}

}  // namespace
}  // namespace tidemark
