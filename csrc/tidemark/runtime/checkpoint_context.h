// CheckpointContext: what a function's results depend on besides its arguments, as it was at a
// call: autocast and generators. (Grad mode is on, or nothing would be checkpointed.)
#pragma once

#include <ATen/autocast_mode.h>
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include <array>
#include <optional>
#include <vector>

#include "tidemark/runtime/generator_state.h"

namespace tidemark::internal {

class AutocastState {
 public:
  static AutocastState current();
  void apply() const;

 private:
  struct PerDevice {
    bool is_enabled = false;
    at::ScalarType dtype = at::kFloat;
  };
  std::array<PerDevice, at::autocast::_AUTOCAST_SUPPORTED_DEVICES.size()> devices_;
  bool is_cached_ = true;
};

// A generator and what it was about to draw.
class SavedGenerator {
 public:
  explicit SavedGenerator(at::Generator generator);
  SavedGenerator current() const { return SavedGenerator(generator_); }
  void restore() const;

 private:
  at::Generator generator_;
  std::optional<GeneratorState> cpu_;
  at::Tensor other_;  // the state of a generator of another device
};

class CheckpointContext {
 public:
  // Captures what is current: autocast, the default generators of the CPU and of the tensors'
  // devices, and `generators`.
  CheckpointContext(const std::vector<at::Tensor>& tensors,
                    const std::vector<at::Generator>& generators);

  // Puts a context in force, and what was in force before back at the end.
  class Scope {
   public:
    explicit Scope(const CheckpointContext& context);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    at::AutoGradMode grad_mode_{true};
    AutocastState autocast_;
    std::vector<SavedGenerator> generators_;
  };

 private:
  AutocastState autocast_;
  std::vector<SavedGenerator> generators_;
};

}  // namespace tidemark::internal
