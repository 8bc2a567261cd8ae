#include "tidemark/runtime/self_check.h"

#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

namespace py = pybind11;

namespace tidemark {
namespace {

// What torch does otherwise than expected, by the name of the assumption; "" where it holds.
py::dict problems() {
  {
    // Kernels that Python has registered want the GIL on the check's thread.
    const py::gil_scoped_release release;
    self_check();
  }
  py::dict result;
  for (const auto& [name, problem] : self_check()) result[py::str(name)] = problem;
  return result;
}

}  // namespace

void bind_self_check(py::module_& module) {
  module.def("self_check", &problems);
  module.def("self_check_obstacle", &self_check_obstacle);
}

}  // namespace tidemark
