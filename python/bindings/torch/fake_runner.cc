#include "tidemark/trace/fake_runner.h"

#include <pybind11/functional.h>
#include <pybind11/stl.h>
#include <torch/csrc/DynamicTypes.h>
#include <torch/csrc/Layout.h>
#include <torch/csrc/PyInterpreter.h>
#include <torch/csrc/jit/python/pybind_utils.h>
#include <torch/csrc/utils/pybind.h>
#include <torch/csrc/utils/tensor_memoryformats.h>

#include "tidemark/base/error.h"
#include "tidemark/graph/graph_json.h"
#include "tidemark/runtime/estimate.h"

namespace py = pybind11;

namespace tidemark {
namespace {

// An argument as Python's op takes it: enumerations that IValues hold as numbers get their names.
py::object to_python(const c10::Argument& argument, const c10::IValue& value) {
  if (value.isInt()) {
    c10::TypePtr type = argument.real_type();
    if (auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
    switch (type->kind()) {
      case c10::TypeKind::ScalarTypeType:
        return py::reinterpret_borrow<py::object>(
            reinterpret_cast<PyObject*>(torch::getTHPDtype(value.toScalarType())));
      case c10::TypeKind::LayoutType:
        return py::reinterpret_borrow<py::object>(
            reinterpret_cast<PyObject*>(torch::getTHPLayout(value.toLayout())));
      case c10::TypeKind::MemoryFormatType:
        return py::reinterpret_borrow<py::object>(
            torch::utils::getTHPMemoryFormat(value.toMemoryFormat()));
      default:
        break;
    }
  }
  return torch::jit::toPyObject(value);
}

void push_results(const c10::OperatorHandle& op, torch::jit::Stack* stack, const py::object& out) {
  const auto& returns = op.schema().returns();
  if (returns.size() == 1) {
    stack->push_back(torch::jit::toIValue(out, returns[0].real_type()));
    return;
  }
  const auto results = py::cast<py::tuple>(out);
  for (std::size_t i = 0; i < returns.size(); ++i) {
    stack->push_back(torch::jit::toIValue(results[i], returns[i].real_type()));
  }
}

FakeOracle python_oracle(py::function describe) {
  return [describe = std::move(describe)](const c10::OperatorHandle& op, torch::jit::Stack* stack) {
    py::gil_scoped_acquire gil;
    const auto& arguments = op.schema().arguments();
    const auto values = torch::jit::pop(*stack, arguments.size());
    py::list args;
    py::dict kwargs;
    for (std::size_t i = 0; i < values.size(); ++i) {
      py::object value = to_python(arguments[i], values[i]);
      if (arguments[i].kwarg_only()) {
        kwargs[py::str(arguments[i].name())] = std::move(value);
      } else {
        args.append(std::move(value));
      }
    }
    const py::handle function = torch::detail::getTorchApiFunction(op);
    push_results(op, stack, describe(function, py::tuple(args), kwargs));
  };
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): pybind11's type
void translate_not_supported(std::exception_ptr pointer) {
  try {
    if (pointer) std::rethrow_exception(pointer);
  } catch (const NotSupported& error) {
    py::set_error(py::module_::import("tidemark.errors").attr("NotSupported"), error.what());
  }
}

}  // namespace

void bind_fake_runner(py::module_& module) {
  py::register_local_exception_translator(translate_not_supported);
  module.def("make_dataless", &make_dataless);
  module.def("is_dataless", &is_dataless);
  py::class_<FakeDevice>(module, "FakeDevice")
      .def(py::init([](py::function describe) {
        return std::make_unique<FakeDevice>(python_oracle(std::move(describe)));
      }))
      .def("build", [](FakeDevice& device, const py::function& make) { return device.build(make); })
      .def("begin_step", &FakeDevice::begin_step)
      .def("close", &FakeDevice::close)
      .def("end_step",
           [](FakeDevice& device, const std::string& graph_json) {
             device.end_step(graph_from_json(graph_json));
           })
      .def("estimated", [](const FakeDevice& device, const std::string& graph_json) {
        return to_json(device.estimated(graph_from_json(graph_json)));
      });
}

}  // namespace tidemark
