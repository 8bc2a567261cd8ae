// Completes graphs of other tools, which say which op reads and makes which value and no more.
#pragma once

#include "tidemark/base/export.h"
#include "tidemark/graph/graph.h"

namespace tidemark {

// Fills the holds of every value from its uses: production is one hold, and so is every use. A
// source is held from the start to its last use, or throughout when nothing uses it; persistent
// values are held to the end. Values that have holds keep them. Ids out of range are left for
// check() to name.
TIDEMARK_API void complete_holds(StepGraph& graph);

// Fills graph.entry from the sources, taking none of them for an unrelated tensor.
TIDEMARK_API void complete_entry(StepGraph& graph);

}  // namespace tidemark
