// record and estimate: a step as data, before it has to fit anywhere.
//
//   tidemark::StepGraph graph = tidemark::record([&] { train_one_step(model); });
//   tidemark::Estimate needed = tidemark::estimate([&] { train_one_step(model); });
//   needed.fits(tidemark::gib(6));
//
// A model whose parameters no machine here could hold is built and recorded by a FakeDevice
// (estimate.h).
#pragma once

#include <functional>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/graph/graph.h"
#include "tidemark/plan/plan.h"
#include "tidemark/runtime/memory_budget.h"

namespace tidemark {

// Runs `step`, a whole training step, until its form repeats, and returns it as data.
//
// The first step of a loop is not like the others (optimizer state appears), so it runs up to five
// times, normally three; it really trains, held to `memory` bytes. Throws as MemoryBudget does.
TIDEMARK_API StepGraph record(const std::function<void()>& step, Bytes memory = kUnlimited);

// What a step needs.
struct Estimate {
  StepGraph graph;
  Plan plan;  // with everything kept

  // The largest number of live bytes, with everything kept.
  Bytes peak_bytes() const { return plan.peak_bytes; }
  bool fits(Bytes memory) const { return peak_bytes() <= memory; }
};

// Returns what one `step` needs, computing nothing: see estimate.h for what it leaves alone. Throws
// c10::NotImplementedError for an op whose result sizes depend on data.
TIDEMARK_API Estimate estimate(const std::function<void()>& step);

}  // namespace tidemark
