// SavedVersion: which version of a tensor was saved for backward, known without holding the tensor.
#pragma once

#include <ATen/core/Tensor.h>

namespace tidemark {

class SavedVersion {
 public:
  SavedVersion() = default;
  // Inference tensors have no versions; nothing is checked of them.
  explicit SavedVersion(const at::Tensor& tensor) {
    auto* impl = tensor.unsafeGetTensorImpl();
    if (impl->is_inference()) return;
    counter_ = impl->version_counter();
    version_ = counter_.current_version();
  }

  // Throws autograd's own error if the tensor was written since.
  void check() const {
    if (!counter_.enabled()) return;
    const auto now = counter_.current_version();
    TORCH_CHECK(now == version_,
                "one of the variables needed for gradient computation has been modified by an "
                "inplace operation: it is at version ",
                now, "; expected version ", version_, " instead.");
  }

 private:
  c10::VariableVersion counter_;
  std::uint32_t version_ = 0;
};

}  // namespace tidemark
