// Everything that differs between the supported versions of torch (2.11 to 2.13), in one place.
#pragma once

#include <c10/core/DispatchKey.h>
#include <torch/csrc/autograd/function.h>
#include <torch/headeronly/version.h>

#include <type_traits>
#include <utility>

#if TORCH_VERSION_MAJOR != 2 || TORCH_VERSION_MINOR < 11
#error "Tidemark supports torch 2.11 to 2.13"
#endif

namespace tidemark {

// shared_ptr<Node> up to 2.12, intrusive_ptr<Node> from 2.13 on.
using NodePtr = std::decay_t<decltype(std::declval<const at::Tensor&>().grad_fn())>;

// The key whose fallback is the tap: directly below autograd, no owner in 2.11 to 2.13.
inline constexpr c10::DispatchKey kTapKey = c10::DispatchKey::Fake;

}  // namespace tidemark
