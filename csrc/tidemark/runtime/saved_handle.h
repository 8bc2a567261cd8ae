// SavedHandle: what autograd holds instead of a tensor it saved in a step.
//
// Its destructor is the exact end of what a kept handle keeps. It keeps autograd's check that the
// tensor was not modified in place since it was saved, also for values that were dropped.
//
// It lies in its step's memory, which the step keeps as long as there are handles, so that one
// allocation less is made per saved tensor.
#pragma once

#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <utility>

#include "tidemark/runtime/geometry.h"
#include "tidemark/runtime/saved_version.h"
#include "tidemark/runtime/step.h"

namespace tidemark {

class SavedHandle final : public torch::autograd::SavedVariableHooks {
 public:
  // Made in `memory`, which lives as long as `step`; the step is told when the handle is destroyed.
  static std::unique_ptr<SavedHandle> make(std::pmr::memory_resource& memory, Step& step) {
    void* place = memory.allocate(sizeof(SavedHandle), alignof(SavedHandle));
    return std::unique_ptr<SavedHandle>(::new (place) SavedHandle(step));
  }
  static void operator delete(SavedHandle* handle, std::destroying_delete_t) {
    Step& step = handle->step_;
    step.release(*handle);
    handle->~SavedHandle();
    step.destroyed_handle();
  }
  ~SavedHandle() override = default;
  void call_pack_hook(const at::Tensor& tensor) override { step_.pack(*this, tensor); }
  at::Tensor call_unpack_hook() override { return step_.unpack(*this); }
  // Asked by compiled autograd alone, which would trace what is restored.
  std::optional<std::pair<c10::SafePyObject, c10::SafePyObject>> retrieve_unpack_hook_data()
      const override {
    TORCH_CHECK_NOT_IMPLEMENTED(
        false,
        "tidemark: compiled autograd cannot run a backward through tensors that were saved in a "
        "budget's step. Switch it off there (torch._dynamo.config.compiled_autograd = False), or "
        "do without the budget");
  }

  // Whether the runtime may drop and restore it.
  bool is_managed() const { return value != nullptr; }
  // Whether it keeps what autograd saved, as autograd would. It may become managed.
  bool is_plain_hold() const { return !is_managed() && key.block != kNone; }

  HandleNumber number = kNone;
  bool is_pending = false;             // restored, not served yet
  ValueState* value = nullptr;         // on the step's tape; nullptr: not managed
  const Geometry* geometry = nullptr;  // on the tape; nullptr: not managed
  at::Tensor held;                     // what it is, if not managed
  ValueKey key;                        // unless it has no plain storage
  SavedVersion version;

 private:
  explicit SavedHandle(Step& step) : step_(step) {}

  Step& step_;
};

}  // namespace tidemark
