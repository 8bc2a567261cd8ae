// tidemark._torch: the half that runs inside LibTorch. Private; python/tidemark is the face.
#include <torch/csrc/Exceptions.h>
#include <torch/csrc/utils/pybind.h>

namespace py = pybind11;

namespace tidemark {

void bind_checkpoint(py::module_& module);
void bind_debug(py::module_& module);
void bind_memory_budget(py::module_& module);
void bind_inference(py::module_& module);
void bind_fake_runner(py::module_& module);
void bind_self_check(py::module_& module);

}  // namespace tidemark

PYBIND11_MODULE(_torch, module) {
  module.doc() = "The half of Tidemark that runs inside LibTorch. Private.";
  tidemark::bind_checkpoint(module);
  tidemark::bind_debug(module);
  tidemark::bind_memory_budget(module);
  tidemark::bind_inference(module);
  tidemark::bind_fake_runner(module);
  tidemark::bind_self_check(module);
}
