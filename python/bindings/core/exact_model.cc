#include "tidemark/plan/exact_model.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <vector>

#include "bound_graph.h"
#include "module.h"
#include "tidemark/plan/window_model.h"

namespace tidemark::bindings {
namespace {

// The model with what it refers to.
struct BoundModel {
  BoundModel(const BoundGraph& bound, Bytes budget)
      : problem(bound.graph), model(problem, budget) {}
  Problem problem;
  ExactModel model;
};

struct BoundWindows {
  BoundWindows(const BoundGraph& bound, Bytes budget, const std::vector<EventIndex>& moments)
      : problem(bound.graph), model(problem, budget, moments) {}
  Problem problem;
  WindowModel model;
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
  py::class_<Milp>(m, "Milp")
      .def_property_readonly("cost", [](const Milp& milp) { return array(milp.cost); })
      .def_property_readonly("is_whole", [](const Milp& milp) { return array(milp.is_whole); })
      .def_property_readonly("row_begin", [](const Milp& milp) { return array(milp.row_begin); })
      .def_property_readonly("column", [](const Milp& milp) { return array(milp.column); })
      .def_property_readonly("coefficient",
                             [](const Milp& milp) { return array(milp.coefficient); })
      .def_property_readonly("most", [](const Milp& milp) { return array(milp.most); });
  py::class_<BoundModel>(m, "ExactModel")
      .def_property_readonly("is_impossible",
                             [](const BoundModel& bound) { return bound.model.is_impossible(); })
      .def_property_readonly("is_complete",
                             [](const BoundModel& bound) { return bound.model.is_complete(); })
      .def_property_readonly(
          "programme",
          [](const BoundModel& bound) -> const Milp& { return bound.model.programme(); },
          py::return_value_policy::reference_internal)
      .def_property_readonly("is_outside",
                             [](const BoundModel& b) { return array(b.model.is_outside()); })
      .def("plan_of",
           [](const BoundModel& bound, const std::vector<double>& solution, Bytes budget,
              Nanoseconds proven_ns) -> std::optional<Plan> {
             const py::gil_scoped_release unlocked;
             return bound.model.plan_of(solution, budget, proven_ns);
           });
  m.def("exact_model", &make_model, py::keep_alive<0, 1>());
  py::class_<BoundWindows>(m, "WindowModel")
      .def_property_readonly(
          "programme",
          [](const BoundWindows& bound) -> const Milp& { return bound.model.programme(); },
          py::return_value_policy::reference_internal)
      .def("exceeded", [](const BoundWindows& bound, const std::vector<double>& solution,
                          int count) { return bound.model.exceeded(solution, count); });
  m.def(
      "window_model",
      [](const BoundGraph& bound, Bytes budget, const std::vector<EventIndex>& moments) {
        const py::gil_scoped_release unlocked;
        return std::make_unique<BoundWindows>(bound, budget, moments);
      },
      py::keep_alive<0, 1>());
  m.def("window_moments", [](const BoundGraph& bound, Bytes budget, int count) {
    const py::gil_scoped_release unlocked;
    return window_moments(Problem(bound.graph), budget, count);
  });
}

}  // namespace tidemark::bindings
