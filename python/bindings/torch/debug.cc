#include "tidemark/runtime/debug.h"

#include <pybind11/pybind11.h>

#include <memory>

namespace py = pybind11;

namespace tidemark {

void bind_debug(py::module_& module) {
  py::class_<DebugScope>(module, "DebugScope").def(py::init<>());
  module.def("is_debugging", &is_debugging);
}

}  // namespace tidemark
