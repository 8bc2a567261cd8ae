// Plans as JSON: docs/plan.schema.json is the schema, docs/step-graph.md shows one. Equal plans
// give equal bytes. Read as strictly as step graphs are (see json_reader.h).
#pragma once

#include <string>
#include <string_view>

#include "tidemark/base/export.h"
#include "tidemark/plan/plan.h"

namespace tidemark {

// Returns `plan` as JSON. Throws std::invalid_argument when the plan is not in the order that
// plan.h asks for (events rising; replays rising, then keeps, then drops; values rising).
TIDEMARK_API std::string to_json(const Plan& plan);

// Returns the plan that `json` describes. Whether it suits a graph is validate's question.
// Throws std::invalid_argument naming the place and what is allowed there.
TIDEMARK_API Plan plan_from_json(std::string_view json);

// Files, whose names end in ".json". Throw std::runtime_error when the system refuses.
TIDEMARK_API void save_plan(const Plan& plan, const std::string& path);
TIDEMARK_API Plan load_plan(const std::string& path);

}  // namespace tidemark
