#include "tidemark/plan/exact_model.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <vector>

#include "bound_graph.h"
#include "module.h"

namespace tidemark::bindings {
namespace {

// The model with what it refers to.
struct BoundModel {
  BoundModel(const BoundGraph& bound, Bytes budget)
      : problem(bound.graph), model(problem, budget) {}
  Problem problem;
  ExactModel model;
};

template <typename T>
py::array_t<T> array(const std::vector<T>& items) {
  return py::array_t<T>(static_cast<py::ssize_t>(items.size()), items.data());
}

std::unique_ptr<BoundModel> make_model(const BoundGraph& bound, Bytes budget) {
  const py::gil_scoped_release unlocked;
  return std::make_unique<BoundModel>(bound, budget);
}

}  // namespace

void bind_exact_model(py::module_& m) {
  m.def("exact_model", &make_model, py::keep_alive<0, 1>());
  const auto milp = [](const BoundModel& bound) -> const Milp& { return bound.model.programme(); };
  py::class_<BoundModel>(m, "ExactModel")
      .def_property_readonly("is_impossible",
                             [](const BoundModel& bound) { return bound.model.is_impossible(); })
      .def_property_readonly("is_complete",
                             [](const BoundModel& bound) { return bound.model.is_complete(); })
      .def_property_readonly("cost", [milp](const BoundModel& b) { return array(milp(b).cost); })
      .def_property_readonly("is_whole",
                             [milp](const BoundModel& b) { return array(milp(b).is_whole); })
      .def_property_readonly("is_outside",
                             [](const BoundModel& b) { return array(b.model.is_outside()); })
      .def_property_readonly("row_begin",
                             [milp](const BoundModel& b) { return array(milp(b).row_begin); })
      .def_property_readonly("column",
                             [milp](const BoundModel& b) { return array(milp(b).column); })
      .def_property_readonly("coefficient",
                             [milp](const BoundModel& b) { return array(milp(b).coefficient); })
      .def_property_readonly("most", [milp](const BoundModel& b) { return array(milp(b).most); })
      .def("plan_of",
           [](const BoundModel& bound, const std::vector<double>& solution, Bytes budget,
              Nanoseconds proven_ns) -> std::optional<Plan> {
             const py::gil_scoped_release unlocked;
             return bound.model.plan_of(solution, budget, proven_ns);
           });
}

}  // namespace tidemark::bindings
