// What following a plan costs: the tap per op and the hooks per saved tensor, on ops of so few
// elements that alignment needs no more. What the arena of planned steps gives back is in it.
//
// Rounds of stock steps and of steps under a budget take turns in one process; a round counts by
// its fastest step, and every counter is the median over rounds of what the budget added, per op of
// the loop. `noise` is the same between two rounds of stock steps. The time that Google Benchmark
// prints is that of one step of `tanh` under the budget.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <vector>

#include "tidemark/runtime/memory_budget.h"

namespace tidemark::benchmarks {
namespace {

constexpr int kNumOps = 1000;
constexpr int kNumRounds = 15;
constexpr int kNumSteps = 9;  // of a round, beside those that learn
// Two are watched; then an arena learns from every two, and a plan may be made anew for it.
constexpr int kLearningSteps = 14;
constexpr Bytes kElements = 16;
// A few large values, for a plan to drop instead of the small ones.
constexpr int kNumWide = 8;
constexpr Bytes kWideElements = 4096;

using Op = at::Tensor (*)(const at::Tensor&);
at::Tensor add(const at::Tensor& x) { return x + 1; }      // saves nothing, no op in backward
at::Tensor neg(const at::Tensor& x) { return x.neg(); }    // saves nothing, one op in backward
at::Tensor tanh(const at::Tensor& x) { return x.tanh(); }  // saves its result, one op in backward

void step(Op op, const at::Tensor& leaf, const at::Tensor& wide) {
  at::Tensor x = leaf * wide;
  for (int i = 0; i < kNumWide; ++i) x = x.tanh();
  x = x.view({kElements, -1}).sum(1);
  for (int i = 0; i < kNumOps; ++i) x = op(x);
  x.sum().backward();
  leaf.mutable_grad().reset();
}

template <typename Run>
double fastest_ns(Run&& run) {
  for (int i = 0; i < kLearningSteps; ++i) run();
  double fastest = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kNumSteps; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    fastest = std::min(fastest, took.count());
  }
  return fastest;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// The fastest step under a budget, and the peak of the last one.
struct Budgeted {
  double step_ns = 0;
  Bytes peak_bytes = 0;
};

template <typename Run>
Budgeted run_under(Bytes budget_bytes, Run&& run) {
  MemoryBudget budget(budget_bytes);
  const double ns = fastest_ns([&] {
    const auto scope = budget.step();
    run();
  });
  return {ns, budget.last_step().peak_bytes};
}

// Time of a step under the budget, and what was added per op of the loop.
struct Cost {
  double step_ns = 0;
  double added_ns = 0;
  double noise_ns = 0;
};

Cost measure(Op op, bool drops_something) {
  const at::Tensor leaf = at::ones({1}).set_requires_grad(true);
  const at::Tensor wide = at::ones({kWideElements});
  const auto run = [&] { step(op, leaf, wide); };
  Bytes limit = kUnlimited;
  if (drops_something) limit = run_under(kUnlimited, run).peak_bytes - kWideElements;
  std::vector<double> steps, added, noise;
  for (int i = 0; i < kNumRounds; ++i) {
    const double stock_ns = fastest_ns(run);
    steps.push_back(run_under(limit, run).step_ns);
    added.push_back((steps.back() - stock_ns) / kNumOps);
    noise.push_back((fastest_ns(run) - stock_ns) / kNumOps);
  }
  return {median(steps), median(added), median(noise)};
}

void follow(benchmark::State& state, bool drops_something) {
  at::set_num_threads(1);
  for (auto iteration : state) {
    const Cost forward = measure(add, drops_something);
    const Cost both = measure(neg, drops_something);
    const Cost saving = measure(tanh, drops_something);
    state.SetIterationTime(saving.step_ns * 1e-9);
    state.counters["ns_per_forward_op"] = forward.added_ns;
    state.counters["ns_per_op_and_gradient"] = both.added_ns;
    state.counters["ns_per_saved_tensor"] = saving.added_ns - both.added_ns;
    state.counters["noise"] = forward.noise_ns;
  }
}

BENCHMARK_CAPTURE(follow, unlimited, false)->UseManualTime()->Iterations(1);
BENCHMARK_CAPTURE(follow, dropping, true)->UseManualTime()->Iterations(1);

}  // namespace
}  // namespace tidemark::benchmarks
