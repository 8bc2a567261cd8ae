// Budget continuation: from a plan for more memory to one for less, in small steps.
//
// Next to the floor a schedule that is mended from far away, or made from nothing, thrashes or
// finds no way. Here the budget is brought down by a few per cent at a time; every step mends the
// last schedule (repair.h), and between steps ruin.h improves it, so that little is left to mend.
// Where a step fails a smaller one is tried; where even a very small one fails the descent ends.
// Every schedule on the way is remembered: it is the answer for budgets between, and a later
// descent goes on where this one ended.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/repair.h"
#include "tidemark/plan/residency.h"

namespace tidemark {

class TIDEMARK_API Continuation {
 public:
  // A schedule on the way.
  struct Rung {
    Schedule schedule;
    Nanoseconds cost_ns = 0;
  };

  // Both must outlive this.
  Continuation(Residency& residency, Repair& repair) : residency_(residency), repair_(repair) {}

  struct Options {
    Bytes budget = 0;
    std::int64_t work = 0;         // steps of Residency::work() after which it ends
    std::int64_t repair_work = 0;  // the same for one repair
    std::function<bool()> stop;
  };

  // Adds a schedule to begin with, unless a cheaper one for no more memory is known.
  void begin_with(const Schedule& schedule, Bytes peak_bytes, Nanoseconds cost_ns);

  // Goes down towards the budget. Returns the cheapest schedule within it, or null. Valid until the
  // next call.
  const Rung* reach(const Options& options);

  // Returns the schedule of least peak so far. REQUIRES: there is one to begin with.
  const Rung& lowest() const { return rungs_.begin()->second; }

 private:
  const Rung* cheapest_within(Bytes budget) const;
  void descend(const Options& options);
  bool tighten(Bytes budget, std::int64_t most_work);
  Bytes remember();

  Residency& residency_;
  Repair& repair_;
  std::map<Bytes, Rung> rungs_;  // by peak; the less memory the dearer
  Bytes stuck_at_ = 0;           // peak of the rung from which no step leads down
};

}  // namespace tidemark
