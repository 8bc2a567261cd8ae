# Third-party packages: the distribution's, else fetched at the versions named here.

include(FetchContent)

# tidemark_dependency(<package> <target> <git repository> <tag>): makes <target> available.
function(tidemark_dependency package target repository tag)
  find_package(${package} QUIET)
  if(TARGET ${target})
    return()
  endif()
  message(STATUS "tidemark: ${package} is not installed, fetching ${tag}")
  FetchContent_Declare(${package} GIT_REPOSITORY ${repository} GIT_TAG ${tag} GIT_SHALLOW ON)
  FetchContent_MakeAvailable(${package})
endfunction()

tidemark_dependency(nlohmann_json nlohmann_json::nlohmann_json
                    https://github.com/nlohmann/json v3.11.3)
tidemark_dependency(fmt fmt::fmt-header-only https://github.com/fmtlib/fmt 10.2.1)

if(TIDEMARK_BUILD_TESTS)
  set(INSTALL_GTEST OFF)
  tidemark_dependency(GTest GTest::gtest_main https://github.com/google/googletest v1.14.0)
endif()

if(TIDEMARK_BUILD_BENCHMARKS)
  set(BENCHMARK_ENABLE_TESTING OFF)
  set(BENCHMARK_ENABLE_INSTALL OFF)
  tidemark_dependency(benchmark benchmark::benchmark https://github.com/google/benchmark v1.8.3)
endif()
