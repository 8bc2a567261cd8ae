// Engine-level saved-tensor hooks: what autograd saves passes through a factory of ours.
//
// A proxy in front of the default autograd engine supplies the hooks; everything else it forwards.
// Tracing, functorch and disabled hooks win. Then the innermost decides: a SavedTensorScope of this
// thread or hooks that the user pushed, and after all of those the step. No GIL and no Python
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

// Puts the proxy in front of the engine; does nothing the second time. Thread-safe.
void install_engine_proxy();

// Sets who makes hooks for tensors saved while the tap is on (is_tap_on()); nullptr: nobody.
void set_saved_tensor_factory(SavedTensorFactory* factory) noexcept;

// While one lives, `factory` makes the hooks of what this thread's autograd saves, with or without
// a tap. Scopes nest. REQUIRES: install_engine_proxy() was called.
class SavedTensorScope {
 public:
  explicit SavedTensorScope(SavedTensorFactory& factory);
  ~SavedTensorScope();
  SavedTensorScope(const SavedTensorScope&) = delete;
  SavedTensorScope& operator=(const SavedTensorScope&) = delete;

  // The factory of this thread's innermost scope; nullptr if there is none or if some of the
  // `num_user_hooks` that are pushed now were pushed inside it.
  static SavedTensorFactory* innermost(std::size_t num_user_hooks) noexcept;

 private:
  SavedTensorFactory& factory_;
  std::size_t num_user_hooks_;  // pushed before: they lie under this scope
  SavedTensorScope* outer_;
};

}  // namespace tidemark
