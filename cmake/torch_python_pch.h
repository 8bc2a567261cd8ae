// Precompiled for the bindings of the torch half.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/utils/pybind.h>
