#include "tidemark/runtime/generator_state.h"

#include <mutex>

namespace tidemark {

GeneratorState state_of(at::CPUGeneratorImpl& generator) {
  std::lock_guard lock(generator.mutex_);
  return {generator.engine(), generator.next_float_normal_sample(),
          generator.next_double_normal_sample()};
}

void set_state(at::CPUGeneratorImpl& generator, const GeneratorState& state) {
  std::lock_guard lock(generator.mutex_);
  generator.set_engine(state.engine);
  generator.set_next_float_normal_sample(state.next_float);
  generator.set_next_double_normal_sample(state.next_double);
}

GeneratorScope::GeneratorScope(at::CPUGeneratorImpl& generator, const GeneratorState& state)
    : generator_(generator), before_(state_of(generator)) {
  set_state(generator_, state);
}

GeneratorScope::~GeneratorScope() { set_state(generator_, before_); }

}  // namespace tidemark
