// Engine-level saved-tensor hooks: what autograd saves passes through a factory of ours.
//
// A proxy in front of the default autograd engine supplies the hooks; everything else it forwards.
// Hooks that the user pushed, tracing, functorch and disabled hooks win. No GIL and no Python
// object is involved.
#pragma once

#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <memory>

namespace tidemark {

class SavedTensorFactory {
 public:
  virtual ~SavedTensorFactory() = default;
  // Returns the hooks of one saved tensor, or nullptr to let autograd keep it as usual.
  virtual std::unique_ptr<torch::autograd::SavedVariableHooks> make_hooks() = 0;
};

// Puts the proxy in front of the engine; does nothing the second time.
void install_engine_proxy();

// Sets who makes hooks for tensors saved while the tap is on (is_tap_on()); nullptr: nobody.
void set_saved_tensor_factory(SavedTensorFactory* factory) noexcept;

}  // namespace tidemark
