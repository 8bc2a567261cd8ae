// The public instances, which lie beside the project and never in it: ../shared/bench-data from its
// root, or where TIDEMARK_BENCH_DATA says.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "tidemark/arena/instance_csv.h"

namespace tidemark::testing {

inline std::optional<Instance> load_bench_data(const std::string& name) {
  const char* folder = std::getenv("TIDEMARK_BENCH_DATA");
  const std::string root =
      folder != nullptr ? folder : TIDEMARK_TEST_DATA "/../../../shared/bench-data";
  std::ifstream file(root + "/" + name);
  if (!file) return std::nullopt;
  std::stringstream text;
  text << file.rdbuf();
  return instance_from_csv(text.str());
}

}  // namespace tidemark::testing

#define TIDEMARK_REQUIRE_BENCH_DATA(instance)                                           \
  if (!(instance)) {                                                                    \
    GTEST_SKIP() << "the public instances are not here; TIDEMARK_BENCH_DATA names the " \
                    "folder that has idealloc/ and minimalloc/";                        \
  }
