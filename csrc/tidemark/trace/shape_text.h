// The dtype and sizes of a tensor as the signature of a step spells them, and a hash of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "tidemark/base/export.h"

namespace tidemark {

// "f32[8,256]".
TIDEMARK_API std::string shape_text(const at::Tensor& tensor);

// Mixes what shape_text(tensor) spells into `hash`, without spelling it.
TIDEMARK_API std::uint64_t hash_shape(const at::Tensor& tensor, std::uint64_t hash) noexcept;

// The same of a text: hash_shape_text(shape_text(t), h) == hash_shape(t, h).
TIDEMARK_API std::uint64_t hash_shape_text(std::string_view text, std::uint64_t hash) noexcept;

}  // namespace tidemark
