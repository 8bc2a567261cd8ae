// Plan time over the number of ops, simulated events per second, load speed of graphs.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "synthetic_step.h"
#include "tidemark/graph/graph_json.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/planner.h"
#include "tidemark/plan/simulate.h"

namespace tidemark::benchmarks {
namespace {

// The middle between the floor and the unplanned peak.
Bytes half_budget(const StepGraph& graph) {
  return (memory_floor(graph).bytes + simulate(graph).peak_bytes) / 2;
}

// The argument is the number of ops.
void plan_with(benchmark::State& state, const std::string& policy) {
  const StepGraph graph = synthetic_step(static_cast<int>(state.range(0)));
  double overhead = 0;
  for (auto iteration : state) {
    const auto made = plan(graph, half_budget(graph), {.policy = policy});
    if (!made) return state.SkipWithError(made.failure().sentence.c_str());
    overhead = static_cast<double>(made->recompute_ns) / static_cast<double>(made->step_ns);
  }
  state.counters["overhead_percent"] = 100 * overhead;
}

void simulate_plan(benchmark::State& state) {
  const StepGraph graph = synthetic_step(static_cast<int>(state.range(0)));
  const auto made = plan(graph, half_budget(graph), {.policy = "sqrt"});
  if (!made) return state.SkipWithError(made.failure().sentence.c_str());
  for (auto iteration : state) benchmark::DoNotOptimize(simulate(graph, *made));
  const double events = static_cast<double>(state.iterations()) * graph.num_events();
  state.counters["events_per_second"] = benchmark::Counter(events, benchmark::Counter::kIsRate);
}

void load_graph(benchmark::State& state) {
  const std::string json = to_json(synthetic_step(static_cast<int>(state.range(0))));
  for (auto iteration : state) benchmark::DoNotOptimize(graph_from_json(json));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(json.size()));
}

void ops(benchmark::internal::Benchmark* benchmark) {
  for (const int num_ops : {250, 500, 1000, 2000, 4000}) benchmark->Arg(num_ops);
}

BENCHMARK_CAPTURE(plan_with, lookahead, "lookahead")->Apply(ops)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(plan_with, sqrt, "sqrt")->Apply(ops)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(plan_with, auto, "auto") -> Apply(ops) -> Unit(benchmark::kMillisecond);
BENCHMARK(simulate_plan)->Apply(ops)->Unit(benchmark::kMicrosecond);
BENCHMARK(load_graph)->Apply(ops)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace tidemark::benchmarks
