// SavedVersion: which version of a tensor was saved for backward. The tensor itself is held beside
// it, or followed: then nobody needs to hold it.
#pragma once

#include <ATen/core/Tensor.h>

namespace tidemark {

class SavedVersion {
 public:
  SavedVersion() = default;
  // Inference tensors have no versions; nothing is checked of them.
  explicit SavedVersion(const at::Tensor& tensor) {
    auto* impl = tensor.unsafeGetTensorImpl();
    is_known_ = !impl->is_inference();
    if (is_known_) version_ = impl->version_counter().current_version();
  }

  // From now on nobody needs to hold `tensor`, which must be the one that was saved.
  void follow(const at::Tensor& tensor) {
    if (is_known_) counter_ = tensor.unsafeGetTensorImpl()->version_counter();
  }

  // Throws autograd's own error if the tensor was written since. `held`: the tensor, unless it is
  // followed.
  void check(const at::Tensor& held) const {
    if (!is_known_) return;
    const bool is_followed = counter_.enabled();
    const auto now = is_followed ? counter_.current_version()
                                 : held.unsafeGetTensorImpl()->version_counter().current_version();
    TORCH_CHECK(now == version_,
                "one of the variables needed for gradient computation has been modified by an "
                "inplace operation: it is at version ",
                now, "; expected version ", version_, " instead.");
  }

 private:
  c10::VariableVersion counter_;
  std::uint32_t version_ = 0;
  bool is_known_ = false;
};

}  // namespace tidemark
