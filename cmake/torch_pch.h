// Precompiled for the torch half: what nearly every file of trace/ and runtime/ includes. Parsing
// these takes about seven seconds a file; torch/torch.h would take fourteen.
#pragma once

#include <ATen/SavedTensorHooks.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/CPUAllocator.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/library.h>
