#include "tidemark/runtime/inference.h"

#include <pybind11/pybind11.h>

#include "arena.h"

namespace py = pybind11;

namespace tidemark {

void bind_inference(py::module_& module) {
  py::class_<Inference>(module, "Inference")
      .def(py::init([](bool release, bool poison) {
        return std::make_unique<Inference>(InferenceOptions{release, poison});
      }))
      .def("enter", &Inference::enter)
      .def("leave", &Inference::leave)
      .def("close", &Inference::close)
      .def_property_readonly("arena",
                             [](const Inference& serving) {
                               return bindings::arena_summary(serving.counts(), serving.why_not(),
                                                              serving.plan());
                             })
      .def_property_readonly(
          "layout", [](const Inference& serving) { return bindings::layout_of(serving.plan()); });
}

}  // namespace tidemark
