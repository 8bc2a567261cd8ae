// SavedHandle: what autograd holds instead of a tensor it saved in a step.
//
// Its destructor is the exact end of what a kept handle keeps. It keeps autograd's check that the
// tensor was not modified in place since it was saved, also for values that were dropped.
#pragma once

#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <memory>
#include <utility>

#include "tidemark/runtime/saved_version.h"
#include "tidemark/runtime/step.h"

namespace tidemark {

class SavedHandle final : public torch::autograd::SavedVariableHooks {
 public:
  explicit SavedHandle(std::shared_ptr<Step> step) : step_(std::move(step)) {}
  ~SavedHandle() override { step_->release(*this); }
  void call_pack_hook(const at::Tensor& tensor) override { step_->pack(*this, tensor); }
  at::Tensor call_unpack_hook() override { return step_->unpack(*this); }

  HandleNumber number = kNone;
  bool is_managed = false;  // the runtime may drop and restore it
  bool is_pending = false;  // restored, not served yet
  ValueKey key;
  Geometry geometry;
  at::Tensor unmanaged;  // what it is, if not managed
  SavedVersion version;

 private:
  std::shared_ptr<Step> step_;
};

}  // namespace tidemark
