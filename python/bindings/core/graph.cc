#include "tidemark/graph/graph.h"

#include <memory>
#include <string>

#include "bound_graph.h"
#include "module.h"
#include "tidemark/graph/graph_json.h"

namespace tidemark::bindings {
namespace {

std::unique_ptr<BoundGraph> read_graph(const std::string& json) {
  const py::gil_scoped_release unlocked;
  return std::make_unique<BoundGraph>(graph_from_json(json));
}

std::string write_graph(const BoundGraph& bound) {
  const py::gil_scoped_release unlocked;
  return to_json(bound.graph);
}

}  // namespace

void bind_graph(py::module_& m) {
  py::class_<BoundGraph>(m, "StepGraph")
      .def("to_json", &write_graph)
      .def_property_readonly("num_events", [](const BoundGraph& g) { return g.graph.num_events(); })
      .def_property_readonly("num_values", [](const BoundGraph& g) { return g.graph.num_values(); })
      .def_property_readonly("device", [](const BoundGraph& g) { return g.graph.device; })
      .def_property_readonly("is_estimate", [](const BoundGraph& g) { return g.graph.is_estimate; })
      .def_readonly("num_ops", &BoundGraph::num_ops)
      .def_readonly("peak_bytes", &BoundGraph::peak_bytes)
      .def_readonly("step_ns", &BoundGraph::step_ns)
      .def_readonly("hash", &BoundGraph::hash)
      .def("__eq__", [](const BoundGraph& a, const BoundGraph& b) { return a.graph == b.graph; })
      .attr("__hash__") = py::none();
  m.def("graph_from_json", &read_graph);
}

}  // namespace tidemark::bindings
