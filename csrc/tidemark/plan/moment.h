// Moment: what lies in memory inside one event whatever a plan says, and what hangs on the plan.
#pragma once

#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

class TIDEMARK_API Moment {
 public:
  // The problem must outlive this.
  // REQUIRES: `event` is an op or a host event (at an unpack values come back in the middle).
  Moment(const Problem& problem, EventIndex event);

  EventIndex event() const noexcept { return event_; }

  // Whether a replay after the moment finds `v` without its having been kept or computed again: it
  // is a source, it is made only then, or the program or another version keeps the block it lies
  // in.
  bool is_there(ValueIndex v) const;

  // Whether the value of `gap` is wanted later and lies in memory only if the plan keeps it.
  bool is_in(const Gap& gap) const;

 private:
  bool is_pinned(ValueIndex v) const;

  const Problem* problem_;
  EventIndex event_;
  std::vector<char> is_block_pinned_;
};

}  // namespace tidemark
