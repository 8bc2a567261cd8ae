#include "tidemark/runtime/checkpoint.h"

#include <c10/core/SafePyObject.h>
#include <pybind11/stl.h>
#include <torch/csrc/Exceptions.h>
#include <torch/csrc/PyInterpreter.h>
#include <torch/csrc/utils/pybind.h>

#include <utility>

namespace py = pybind11;

namespace tidemark {
namespace {

// Reaches Python through autograd as tidemark.ReplayMismatch.
struct PythonReplayMismatch final : torch::PyTorchError {
  using torch::PyTorchError::PyTorchError;
  PyObject* python_type() override {
    return py::module_::import("tidemark.errors").attr("ReplayMismatch").ptr();
  }
};

// Calls `run` from whichever thread backward is on, and lets go of it safely there.
std::function<void(std::vector<at::Tensor>)> callable_anywhere(const py::function& run) {
  c10::SafePyObject held(py::object(run).release().ptr(), getPyInterpreter());
  return [held = std::move(held)](std::vector<at::Tensor> tensors) {
    py::gil_scoped_acquire gil;
    py::list list = py::cast(std::move(tensors));
    PyObject* result = PyObject_CallOneArg(held.ptr(getPyInterpreter()), list.ptr());
    if (result == nullptr) {
      // As torch's own Python nodes fail: the engine carries it to the thread that called backward.
      python_error error;
      error.persist();
      throw error;
    }
    Py_DECREF(result);
  };
}

// Returns run(tensors), having kept nothing that autograd saved in it.
py::object run_checkpointed(const py::function& run, std::vector<at::Tensor> tensors,
                            std::vector<at::Generator> generators, std::string name) {
  py::list list = py::cast(tensors);
  internal::CheckpointedCall call;
  call.name = std::move(name);
  call.tensors = std::move(tensors);
  call.generators = std::move(generators);
  call.run = callable_anywhere(run);
  call.throw_mismatch = [](const std::string& text) { throw PythonReplayMismatch(text); };
  internal::CheckpointScope scope(std::move(call));
  return run(std::move(list));
}

}  // namespace

void bind_checkpoint(py::module_& module) { module.def("checkpoint", &run_checkpointed); }

}  // namespace tidemark
