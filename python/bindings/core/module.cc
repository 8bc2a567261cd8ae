// tidemark._core: the torch-free half in Python. Private and thin; python/tidemark/*.py is the API.

#include "module.h"

#include <pybind11/pybind11.h>

#include "tidemark/base/error.h"
#include "tidemark/base/version.h"

// The torch that the other half was built for; empty in a build of the core alone.
#ifndef TIDEMARK_TORCH_VERSION
#define TIDEMARK_TORCH_VERSION ""
#endif

namespace tidemark::bindings {
namespace {

// std::invalid_argument is a ValueError and std::logic_error a RuntimeError without our help.
// NOLINTNEXTLINE(performance-unnecessary-value-param): pybind11's type
void translate_not_supported(std::exception_ptr pointer) {
  try {
    if (pointer) std::rethrow_exception(pointer);
  } catch (const NotSupported& error) {
    const py::object type = py::module_::import("tidemark.errors").attr("NotSupported");
    py::set_error(type, error.what());
  }
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.attr("version") = TIDEMARK_VERSION;
  m.attr("torch_version") = TIDEMARK_TORCH_VERSION;
  py::register_exception_translator(translate_not_supported);
  bind_bytes(m);
  bind_graph(m);
  bind_plan(m);
  bind_simulate(m);
  bind_validate(m);
  bind_planner(m);
  bind_exact_model(m);
  bind_report(m);
  bind_pack(m);
  bind_generate(m);
}

}  // namespace tidemark::bindings
