// What both modules say of a PlanFailure in Python.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <limits>
#include <optional>
#include <string>

#include "tidemark/plan/planner.h"

namespace tidemark::bindings {

// Bytes by category name.
inline pybind11::dict fixed_bytes(const PlanFailure& failure) {
  pybind11::dict result;
  for (std::size_t i = 0; i < failure.fixed_by_category.size(); ++i) {
    const std::string name(to_string(static_cast<Category>(i)));
    result[pybind11::str(name)] = failure.fixed_by_category[i];
  }
  return result;
}

// Nothing where it is proved that there is no plan.
inline std::optional<Nanoseconds> lower_bound_ns(const PlanFailure& failure) {
  if (failure.lower_bound_ns == std::numeric_limits<Nanoseconds>::max()) return std::nullopt;
  return failure.lower_bound_ns;
}

inline bool timed_out(const PlanFailure& failure) {
  return failure.reason == PlanFailure::Reason::kTimeOut;
}

}  // namespace tidemark::bindings
