#include "tidemark/runtime/checkpoint_context.h"

#include <ATen/Context.h>

#include <set>
#include <utility>

namespace tidemark::internal {
namespace {

constexpr const auto& kDevices = at::autocast::_AUTOCAST_SUPPORTED_DEVICES;

at::CPUGeneratorImpl& cpu_impl(const at::Generator& generator) {
  return *at::check_generator<at::CPUGeneratorImpl>(generator);
}

}  // namespace

AutocastState AutocastState::current() {
  AutocastState state;
  for (std::size_t i = 0; i < kDevices.size(); ++i) {
    state.devices_[i] = {at::autocast::is_autocast_enabled(kDevices[i]),
                         at::autocast::get_autocast_dtype(kDevices[i])};
  }
  state.is_cached_ = at::autocast::is_autocast_cache_enabled();
  return state;
}

void AutocastState::apply() const {
  for (std::size_t i = 0; i < kDevices.size(); ++i) {
    at::autocast::set_autocast_enabled(kDevices[i], devices_[i].is_enabled);
    at::autocast::set_autocast_dtype(kDevices[i], devices_[i].dtype);
  }
  at::autocast::set_autocast_cache_enabled(is_cached_);
}

SavedGenerator::SavedGenerator(at::Generator generator) : generator_(std::move(generator)) {
  if (generator_.device().is_cpu()) {
    cpu_ = state_of(cpu_impl(generator_));
  } else {
    other_ = generator_.get_state();
  }
}

void SavedGenerator::restore() const {
  if (cpu_) {
    set_state(cpu_impl(generator_), *cpu_);
  } else {
    auto generator = generator_;  // set_state is not const; both mean the same generator
    generator.set_state(other_);
  }
}

CheckpointContext::CheckpointContext(const std::vector<at::Tensor>& tensors,
                                     const std::vector<at::Generator>& generators)
    : autocast_(AutocastState::current()) {
  generators_.emplace_back(at::detail::getDefaultCPUGenerator());
  std::set<at::DeviceIndex> seen;
  for (const auto& tensor : tensors) {
    if (!tensor.defined() || !at::isAccelerator(tensor.device().type())) continue;
    if (!seen.insert(tensor.device().index()).second) continue;
    generators_.emplace_back(at::globalContext().defaultGenerator(tensor.device()));
  }
  for (const auto& generator : generators) generators_.emplace_back(generator);
}

CheckpointContext::Scope::Scope(const CheckpointContext& context)
    : autocast_(AutocastState::current()) {
  for (const auto& generator : context.generators_) generators_.push_back(generator.current());
  // Casts that are cached in between are forgotten with them.
  at::autocast::increment_nesting();
  context.autocast_.apply();
  for (const auto& generator : context.generators_) generator.restore();
}

CheckpointContext::Scope::~Scope() {
  for (const auto& generator : generators_) generator.restore();
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  autocast_.apply();
}

}  // namespace tidemark::internal
