#include "arena.h"

#include <pybind11/stl.h>

namespace py = pybind11;

namespace tidemark::bindings {

py::dict arena_summary(const ArenaCounts& counts, const std::string& why_not,
                       const AddressPlan* plan) {
  py::dict result;
  result["why_not"] = why_not;
  result["num_served"] = counts.served;
  result["served_bytes"] = counts.served_bytes;
  result["num_fallen_back"] = counts.fallen_back;
  result["num_mappings"] = counts.mappings;
  result["block_bytes"] = plan == nullptr ? 0 : plan->block_bytes();
  result["height"] = plan == nullptr ? 0 : plan->height();
  result["lower_bound"] = plan == nullptr ? 0 : plan->packing.lower_bound;
  return result;
}

py::object layout_of(const AddressPlan* plan) {
  if (plan == nullptr) return py::none();
  py::list rows;
  for (const Buffer& b : plan->instance.buffers) {
    rows.append(py::make_tuple(b.begin, b.end, b.size, b.alignment, b.offset, b.name));
  }
  return py::make_tuple(rows, plan->packing.layout.offsets, plan->instance.alignment,
                        plan->packing.lower_bound);
}

}  // namespace tidemark::bindings
