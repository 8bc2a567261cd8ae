// Which optimizer ends a generated step.
#pragma once

#include <cstdint>

namespace tidemark {

enum class Optimizer : std::uint8_t {
  kNothing,  // gradients are left in place
  kSgd,      // one add_ per parameter
  kAdamW,    // one fused op per parameter, two states of its size
};

}  // namespace tidemark
