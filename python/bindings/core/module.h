// What module.cc calls: one function per bound header, in files of the same name.
#pragma once

#include <pybind11/pybind11.h>

namespace tidemark::bindings {

namespace py = pybind11;

void bind_bytes(py::module_& m);
void bind_graph(py::module_& m);
void bind_plan(py::module_& m);
void bind_simulate(py::module_& m);
void bind_validate(py::module_& m);
void bind_planner(py::module_& m);
void bind_exact_model(py::module_& m);
void bind_report(py::module_& m);
void bind_pack(py::module_& m);
void bind_generate(py::module_& m);

}  // namespace tidemark::bindings
