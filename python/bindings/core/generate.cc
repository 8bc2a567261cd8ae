#include "tidemark/generate/generate.h"

#include <pybind11/stl.h>

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "bound_graph.h"
#include "module.h"

namespace tidemark::bindings {
namespace {

Optimizer optimizer_of(const std::string& name) {
  const std::map<std::string, Optimizer> optimizers = {
      {"none", Optimizer::kNothing}, {"sgd", Optimizer::kSgd}, {"adamw", Optimizer::kAdamW}};
  const auto found = optimizers.find(name);
  if (found == optimizers.end())
    throw py::value_error("optimizer '" + name + "' is not known; there are none, sgd, adamw");
  return found->second;
}

std::unique_ptr<BoundGraph> generate_unlocked(const std::string& model, std::int64_t batch,
                                              std::int64_t size, const DeviceProfile& device,
                                              int element_bytes, const std::string& optimizer) {
  const GenerateOptions options{.batch = batch,
                                .size = size,
                                .device = device,
                                .element_bytes = element_bytes,
                                .optimizer = optimizer_of(optimizer)};
  const py::gil_scoped_release unlocked;
  return std::make_unique<BoundGraph>(generate(model, options));
}

std::vector<std::tuple<std::string, std::string, std::int64_t, std::int64_t>> models() {
  std::vector<std::tuple<std::string, std::string, std::int64_t, std::int64_t>> list;
  for (const GeneratedModel& m : generated_models())
    list.emplace_back(m.name, m.description, m.batch, m.size);
  return list;
}

}  // namespace

void bind_generate(py::module_& m) {
  py::class_<DeviceProfile>(m, "DeviceProfile")
      .def("to_json", [](const DeviceProfile& profile) { return to_json(profile); })
      .def_readonly("name", &DeviceProfile::name)
      .def_readonly("source", &DeviceProfile::source);
  m.def("device_profile", [](const std::string& name) { return device_profile(name); });
  m.def("device_profile_from_json",
        [](const std::string& json) { return device_profile_from_json(json); });
  m.def("generate", &generate_unlocked);
  m.def("generated_models", &models);
}

}  // namespace tidemark::bindings
