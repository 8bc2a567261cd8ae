// emit: from "which ops run again, and when" to the actions of a plan.
//
// A Schedule is what planners decide. Everything else follows from it: a value lies somewhere from
// its making (or from a replay that restores it) to its last use before it is made again, and the
// least memory a schedule can have is reached by letting go exactly there. So a planner never says
// keep or drop; a read of a value that the same list does not restore keeps the last copy of it.
#pragma once

#include <string_view>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/plan.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

// The ops that run again at `event`, ascending, none twice.
struct ReplayList {
  EventIndex event = 0;
  std::vector<EventIndex> ops;
  bool operator==(const ReplayList&) const = default;
};

// Sorted by event, no empty list.
using Schedule = std::vector<ReplayList>;

// Returns the actions with which `schedule` takes least memory. A gap is dropped if the value is
// restored inside or at the end of it; all others are kept. What only handles would keep after the
// program's last hold, while ops run, is dropped too.
// REQUIRES: every op is replayable and earlier than its list; inputs not restored in the same list
// can stay until then (Problem::can_stay_until) or are restored by an earlier list.
TIDEMARK_API std::vector<EventActions> emit(const Problem& problem, const Schedule& schedule);

// Removes the replays that nothing uses.
TIDEMARK_API void prune(const Problem& problem, Schedule& schedule);

// Returns the plan with these actions, its promises taken from the simulator. If the peak is the
// same without the drops of values that nobody wants again, it has none of them: a step has less to
// do then.
TIDEMARK_API Plan make_plan(const Problem& problem, std::vector<EventActions> actions,
                            std::string_view policy, Bytes budget);

}  // namespace tidemark
