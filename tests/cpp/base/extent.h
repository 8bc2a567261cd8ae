// How much a test tries: `make test` less than `make test-all`.
#pragma once

#include <cstdlib>

namespace tidemark::testing {

inline bool is_test_all() { return std::getenv("TIDEMARK_TEST_ALL") != nullptr; }

// How many random instances.
inline int num_random(int few, int all) { return is_test_all() ? all : few; }

}  // namespace tidemark::testing
