// Plan time over the number of ops with the fitted growth, the bound alone, a frontier, simulated
// events per second, load speed of graphs.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "synthetic_step.h"
#include "tidemark/generate/generate.h"
#include "tidemark/graph/graph_json.h"
#include "tidemark/plan/bound.h"
#include "tidemark/plan/floor.h"
#include "tidemark/plan/planner.h"
#include "tidemark/plan/simulate.h"

namespace tidemark::benchmarks {
namespace {

// A point of the range from the floor to the unplanned peak.
Bytes budget_of(const StepGraph& graph, double share) {
  const Bytes floor = memory_floor(graph).bytes;
  return floor +
         static_cast<Bytes>(share * static_cast<double>(simulate(graph).peak_bytes - floor));
}

void plan_step(benchmark::State& state, const StepGraph& graph, const std::string& policy,
               double share) {
  const Bytes budget = budget_of(graph, share);
  double overhead = 0;
  double bound = 0;
  for (auto iteration : state) {
    const auto made = plan(graph, budget, {.policy = policy, .time_limit_s = 600});
    if (!made) return state.SkipWithError(made.failure().sentence.c_str());
    overhead = static_cast<double>(made->recompute_ns) / static_cast<double>(made->step_ns);
    bound = static_cast<double>(made->lower_bound_ns) / static_cast<double>(made->step_ns);
  }
  state.counters["overhead_percent"] = 100 * overhead;
  state.counters["bound_percent"] = 100 * bound;
}

// The argument is the number of ops.
void plan_with(benchmark::State& state, const std::string& policy) {
  plan_step(state, synthetic_step(static_cast<int>(state.range(0))), policy, 0.5);
  state.SetComplexityN(state.range(0));
}

// The argument is the number of unrolled steps: some 70 ops each.
void plan_recurrence(benchmark::State& state, double share) {
  const StepGraph graph = generate("lstm" + std::to_string(state.range(0)));
  plan_step(state, graph, "auto", share);
  state.SetComplexityN(graph.num_events());
  state.counters["events"] = graph.num_events();
}

void bound_alone(benchmark::State& state) {
  const StepGraph graph = synthetic_step(static_cast<int>(state.range(0)));
  const Bytes budget = budget_of(graph, 0.3);
  for (auto iteration : state) benchmark::DoNotOptimize(lower_bound(graph, budget));
  state.SetComplexityN(state.range(0));
}

void frontier_of_twelve(benchmark::State& state) {
  const StepGraph graph = synthetic_step(static_cast<int>(state.range(0)));
  for (auto iteration : state) benchmark::DoNotOptimize(frontier(graph));
}

void simulate_plan(benchmark::State& state) {
  const StepGraph graph = synthetic_step(static_cast<int>(state.range(0)));
  const auto made = plan(graph, budget_of(graph, 0.5), {.policy = "sqrt"});
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
  for (const int num_ops : {250, 500, 1000, 2000, 5000}) benchmark->Arg(num_ops);
}

constexpr auto kMilliseconds = benchmark::kMillisecond;

BENCHMARK_CAPTURE(plan_with, lookahead, "lookahead")->Apply(ops)->Unit(kMilliseconds)->Complexity();
BENCHMARK_CAPTURE(plan_with, sqrt, "sqrt")->Apply(ops)->Unit(kMilliseconds)->Complexity();
BENCHMARK_CAPTURE(plan_with, auto, "auto") -> Apply(ops) -> Unit(kMilliseconds) -> Complexity();
BENCHMARK_CAPTURE(plan_recurrence, tight, 0.1)
    ->Arg(16)
    ->Arg(32)
    ->Arg(64)
    ->Unit(kMilliseconds)
    ->Complexity();
// Some 100,000 ops.
BENCHMARK_CAPTURE(plan_recurrence, large, 0.5)->Arg(1440)->Iterations(1)->Unit(kMilliseconds);
BENCHMARK(bound_alone)->Apply(ops)->Unit(kMilliseconds)->Complexity();
BENCHMARK(frontier_of_twelve)->Arg(5000)->Iterations(1)->Unit(kMilliseconds);
BENCHMARK(simulate_plan)->Apply(ops)->Unit(benchmark::kMicrosecond);
BENCHMARK(load_graph)->Apply(ops)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace tidemark::benchmarks
