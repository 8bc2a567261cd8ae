// Random steps, and the optimum of small ones by trying all plans, as the C++ tests have them.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <optional>
#include <string>

#include "plan/oracle.h"
#include "plan/random_graph.h"
#include "tidemark/graph/graph_json.h"

namespace tidemark::testing {
namespace {

std::string random_step(std::uint32_t seed, int num_ops, bool has_in_place,
                        bool has_runtime_actions) {
  return to_json(random_graph(seed, {.num_ops = num_ops,
                                     .with_in_place = has_in_place,
                                     .has_runtime_actions = has_runtime_actions}));
}

bool is_small(const std::string& json) {
  const StepGraph graph = graph_from_json(json);
  const Problem problem(graph);
  return Oracle(problem).is_small();
}

// REQUIRES: is_small(json).
std::optional<Nanoseconds> least_recompute(const std::string& json, Bytes budget) {
  const StepGraph graph = graph_from_json(json);
  const Problem problem(graph);
  return Oracle(problem).least_recompute(budget);
}

}  // namespace
}  // namespace tidemark::testing

PYBIND11_MODULE(small_steps, m) {
  m.def("random_step", &tidemark::testing::random_step);
  m.def("is_small", &tidemark::testing::is_small);
  m.def("least_recompute", &tidemark::testing::least_recompute);
}
