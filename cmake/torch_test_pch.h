// Precompiled for the tests of the torch half, which build models.
#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>
