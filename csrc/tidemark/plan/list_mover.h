// ListMover: computes values again earlier than where they are used, where there is room for it.
//
// To have a value again takes room for a moment: what it is computed from, what else the same list
// restores, workspace. Where a list is used that room may be missing while it is there at an
// earlier event, or what it reads still lies in memory there; what is restored there stays until it
// is used. Part of repair.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/closure.h"
#include "tidemark/plan/residency.h"

namespace tidemark {

class TIDEMARK_API ListMover {
 public:
  // The residency must outlive this.
  explicit ListMover(Residency& residency);

  // Moves the list of `at`, or the part of it that restores one op's results, to the nearest event
  // before where all that changes takes at most `most` bytes. Returns false, having changed
  // nothing, if there is none among a few that have more room, or if finding out takes more than
  // `most_work` steps of Residency::work().
  bool move_earlier(EventIndex at, Bytes most, std::int64_t most_work);

 private:
  bool move(std::span<const EventIndex> ops, EventIndex at, Bytes most);
  bool move_to(EventIndex to, std::span<const EventIndex> ops, EventIndex at, Bytes most);
  bool is_wanted(EventIndex op, EventIndex at) const;
  Bytes wanted_bytes(std::span<const EventIndex> ops, EventIndex at) const;

  Residency& residency_;
  const StepGraph& graph_;
  Closure closure_;
  std::vector<EventIndex> places_;  // events that can have a list, ascending
};

}  // namespace tidemark
