#include "tidemark/arena/pack.h"

#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bound_graph.h"
#include "module.h"
#include "tidemark/arena/baselines.h"
#include "tidemark/arena/instance_csv.h"
#include "tidemark/arena/validate_layout.h"
#include "tidemark/base/error.h"
#include "tidemark/graph/lifetime.h"
#include "tidemark/report/layout_picture.h"

namespace tidemark::bindings {
namespace {

// begin, end, size, alignment, fixed offset, name
using Row = std::tuple<Time, Time, Bytes, Bytes, std::optional<Bytes>, std::string>;
using Ranges = std::vector<std::pair<Bytes, Bytes>>;

// What is asked of the arena as a whole.
void set_rules(Instance& instance, Bytes alignment, std::optional<Bytes> block_limit,
               const Ranges& forbidden) {
  instance.alignment = alignment;
  instance.block_limit = block_limit;
  for (const auto& [begin, end] : forbidden) instance.forbidden.push_back({begin, end});
  check(instance);
}

Instance instance_of_rows(const std::vector<Row>& rows, Bytes alignment,
                          std::optional<Bytes> block_limit, const Ranges& forbidden) {
  Instance instance;
  instance.buffers.reserve(rows.size());
  for (const auto& [begin, end, size, own_alignment, offset, name] : rows) {
    instance.buffers.push_back({begin, end, size, own_alignment, offset, name});
  }
  set_rules(instance, alignment, block_limit, forbidden);
  return instance;
}

// The blocks that the step makes; those that it finds lie elsewhere.
Instance instance_of_graph(const BoundGraph& bound, Bytes alignment,
                           std::optional<Bytes> block_limit, const Ranges& forbidden) {
  Instance instance;
  for (const Allocation& made : allocations(bound.graph)) {
    const Value& value = bound.graph.values[made.value];
    const Event& producer = bound.graph.events[value.producer];
    instance.buffers.push_back({.begin = made.time.begin,
                                .end = made.time.end,
                                .size = made.bytes,
                                .name = "block " + std::to_string(made.block) + " of " +
                                        producer.name + " " + producer.scope});
  }
  set_rules(instance, alignment, block_limit, forbidden);
  return instance;
}

std::vector<Row> rows_of(const Instance& instance) {
  std::vector<Row> rows;
  rows.reserve(instance.buffers.size());
  for (const Buffer& b : instance.buffers) {
    rows.emplace_back(b.begin, b.end, b.size, b.alignment, b.offset, b.name);
  }
  return rows;
}

// A signal (Ctrl-C) ends the search and is raised afterwards.
Packing pack_unlocked(const Instance& instance, std::optional<Bytes> capacity, double time_limit,
                      std::optional<std::int64_t> work_limit) {
  bool is_interrupted = false;
  Packing packing;
  {
    const py::gil_scoped_release unlocked;
    const auto ask_python = [&is_interrupted] {
      const py::gil_scoped_acquire locked;
      is_interrupted = is_interrupted || PyErr_CheckSignals() != 0;
      return is_interrupted;
    };
    packing = pack(instance, {capacity, time_limit, work_limit, ask_python});
  }
  if (is_interrupted) throw py::error_already_set();
  return packing;
}

// A layout that was found elsewhere.
Packing packing_of_offsets(const Instance& instance, std::vector<Bytes> offsets,
                           Bytes lower_bound) {
  Packing packing;
  packing.layout.offsets = std::move(offsets);
  packing.lower_bound = lower_bound;
  for (std::size_t row = 0; row < instance.buffers.size(); ++row) {
    const Bytes end = packing.layout.offsets.at(row) + padded_size(instance, instance.buffers[row]);
    packing.layout.height = std::max(packing.layout.height, end);
  }
  const auto broken = validate(instance, packing.layout);
  TIDEMARK_CHECK_VALUE(!broken, "no layout: ", broken->sentence);
  const bool is_lowest = packing.layout.height == lower_bound;
  packing.status = is_lowest ? PackStatus::kOptimal : PackStatus::kFeasible;
  return packing;
}

std::map<std::string, Bytes> baseline_heights(const Instance& instance) {
  const py::gil_scoped_release unlocked;
  std::map<std::string, Bytes> heights;
  for (const Baseline baseline : baselines()) {
    heights[std::string(to_string(baseline))] = pack_as(baseline, instance).height;
  }
  return heights;
}

std::string csv_of(const Instance& instance, const Packing& packing) {
  return to_csv(instance, packing.layout);
}

std::string svg_of(const Instance& instance, const Packing& packing) {
  const py::gil_scoped_release unlocked;
  return to_svg(instance, packing.layout, packing.lower_bound);
}

}  // namespace

void bind_pack(py::module_& m) {
  py::class_<Instance>(m, "Instance")
      .def_property_readonly("rows", &rows_of)
      .def_property_readonly("num_buffers", [](const Instance& i) { return i.buffers.size(); });
  py::class_<Packing>(m, "Packing")
      .def_property_readonly("status", [](const Packing& p) { return to_string(p.status); })
      .def_property_readonly("offsets", [](const Packing& p) { return p.layout.offsets; })
      .def_property_readonly("height", [](const Packing& p) { return p.layout.height; })
      .def_property_readonly("gap", &Packing::gap)
      .def_readonly("lower_bound", &Packing::lower_bound)
      .def_readonly("misfit", &Packing::misfit)
      .def_readonly("is_irreducible", &Packing::is_irreducible)
      .def_readonly("work", &Packing::work)
      .def("__eq__", [](const Packing& a, const Packing& b) { return a == b; })
      .attr("__hash__") = py::none();
  m.def("instance_of_rows", &instance_of_rows);
  m.def("instance_of_csv", &instance_from_csv);
  m.def("instance_of_graph", &instance_of_graph);
  m.def("pack", &pack_unlocked);
  m.def("packing_of_offsets", &packing_of_offsets);
  m.def("baseline_heights", &baseline_heights);
  m.def("packing_to_csv", &csv_of);
  m.def("packing_to_svg", &svg_of);
}

}  // namespace tidemark::bindings
