// What Python is told of arenas.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "tidemark/arena/address_plan.h"
#include "tidemark/runtime/step_arena.h"

namespace tidemark::bindings {

// The fields of tidemark.arena.ArenaSummary. `plan`: of the arena used last, nullptr: none.
pybind11::dict arena_summary(const ArenaCounts& counts, const std::string& why_not,
                             const AddressPlan* plan);

// What tidemark.arena.packing_of reads: rows as _core.instance_of_rows wants them, their offsets,
// the alignment and the lower bound; None without a plan.
pybind11::object layout_of(const AddressPlan* plan);

}  // namespace tidemark::bindings
