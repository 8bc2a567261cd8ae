// ReplayMismatch: computing something again gave another result than the forward pass did.
#pragma once

#include <stdexcept>

#include "tidemark/base/export.h"

namespace tidemark {

// The text names what differs, then and now, and the usual causes.
class TIDEMARK_API ReplayMismatch : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace tidemark
