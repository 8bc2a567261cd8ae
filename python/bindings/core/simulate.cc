#include "tidemark/plan/simulate.h"

#include <pybind11/stl.h>

#include <tuple>
#include <vector>

#include "bound_graph.h"
#include "module.h"

namespace tidemark::bindings {
namespace {

Simulation simulate_unlocked(const BoundGraph& bound, const Plan* plan) {
  const py::gil_scoped_release unlocked;
  return plan == nullptr ? simulate(bound.graph) : simulate(bound.graph, *plan);
}

std::vector<std::tuple<Bytes, Bytes, Bytes>> curve_of(const Simulation& simulation) {
  std::vector<std::tuple<Bytes, Bytes, Bytes>> curve;
  curve.reserve(simulation.curve.size());
  for (const Reading& r : simulation.curve) curve.emplace_back(r.before, r.peak, r.after);
  return curve;
}

}  // namespace

void bind_simulate(py::module_& m) {
  py::class_<Simulation>(m, "Simulation")
      .def_property_readonly("curve", &curve_of)
      .def_readonly("peak_bytes", &Simulation::peak_bytes)
      .def_readonly("peak_event", &Simulation::peak_event)
      .def_readonly("step_ns", &Simulation::step_ns)
      .def_readonly("recompute_ns", &Simulation::recompute_ns)
      .def_readonly("num_replays", &Simulation::num_replays);
  m.def("simulate", &simulate_unlocked, py::arg("graph"), py::arg("plan").none(true));
}

}  // namespace tidemark::bindings
