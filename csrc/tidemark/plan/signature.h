// The signature of a step: what a running step is recognised by, without its graph.
//
// One item per forward op and per unpack, in order; the blocks in it are the graph's, which the
// recorder numbers by first touch by a forward op (or pack), so that a running step arrives at the
// same numbers. Scalar arguments, backward ops, times and names of modules are no part of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tidemark/base/export.h"
#include "tidemark/graph/graph.h"
#include "tidemark/plan/plan.h"

namespace tidemark {

// Returns the signature of `graph`. REQUIRES: check(graph) passes.
TIDEMARK_API Signature signature(const StepGraph& graph);

// Returns a hash that is equal for two signatures without a first_difference. The same on every
// platform and in every run.
TIDEMARK_API std::uint64_t signature_hash(const Signature& signature);

// Returns signature_hash(signature(graph)). REQUIRES: check(graph) passes.
TIDEMARK_API std::uint64_t graph_hash(const StepGraph& graph);

// Returns a sentence that names the first place where `found` is another step than `expected`, or
// nothing. Event numbers themselves are not compared (a plan is followed by counting forward ops
// and unpacks), nor the bytes that the step neither touches nor lets die.
TIDEMARK_API std::optional<std::string> first_difference(const Signature& expected,
                                                         const Signature& found);

}  // namespace tidemark
