// GeneratorState: what a CPU generator is about to draw, in memory that no allocator counts.
//
// Not a tensor, as Generator::get_state() makes one: what the runtime remembers of the random
// numbers of a step must not show in the step's bytes.
#pragma once

#include <ATen/CPUGeneratorImpl.h>

#include <optional>

namespace tidemark {

struct GeneratorState {
  at::mt19937 engine;
  std::optional<float> next_float;
  std::optional<double> next_double;
};

// Both hold the generator's lock meanwhile.
GeneratorState state_of(at::CPUGeneratorImpl& generator);
void set_state(at::CPUGeneratorImpl& generator, const GeneratorState& state);

// Puts `state` into a generator, and what was there before back at the end.
class GeneratorScope {
 public:
  GeneratorScope(at::CPUGeneratorImpl& generator, const GeneratorState& state);
  ~GeneratorScope();
  GeneratorScope(const GeneratorScope&) = delete;
  GeneratorScope& operator=(const GeneratorScope&) = delete;

 private:
  at::CPUGeneratorImpl& generator_;
  GeneratorState before_;
};

}  // namespace tidemark
