// The online planners: a step is executed within a budget, and where room is missing values are
// given up one by one, without a look ahead.
//
// Kirisame et al. 2021, "Dynamic tensor rematerialization" (DTR, arXiv 2006.09616). A value is idle
// when only autograd wants it; the idle value with the lowest score goes:
//
//   h(v) = (c(v) + cost of its neighbourhood) / (m(v) * s(v))
//
//   theirs   ours
//   c(v)     time of the op that makes the value
//   m(v)     bytes
//   s(v)     staleness: time since the value was last read or made
//   e~*(v)   kDtrEq, h_eq: evicted values fall into classes (union-find) that touch each other; the
//            neighbourhood is the classes beside v; bringing a value back subtracts its cost
//   (none)   kDtrLocal, h_local: no neighbourhood
//   h_LRU    kLru: 1 / s(v) alone
//   e_R(v)   kDte, as MegEngine's and OneFlow's greedy (DTE, Hu et al. 2022) scores: all that v's
//            own recomputation would run, ancestors only
//
// A value that comes back brings what its recomputation passed through, which stays until it is
// given up in turn (values that autograd does not want go at once: "eager eviction").
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string_view>

#include "tidemark/base/export.h"
#include "tidemark/plan/candidate.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

enum class OnlineScore : std::uint8_t { kDtrEq, kDtrLocal, kLru, kDte };

struct OnlinePolicy {
  std::string_view name;
  OnlineScore score;
};
inline constexpr OnlinePolicy kOnlinePolicies[] = {
    {"dtr", OnlineScore::kDtrEq},
    {"dtr_local", OnlineScore::kDtrLocal},
    {"lru", OnlineScore::kLru},
    {"dte", OnlineScore::kDte},
};

// Returns what an execution within `limit` bytes computes again, or nothing where it gets stuck or
// runs ten times the step's ops. The caller simulates it.
TIDEMARK_API std::optional<Schedule> online_schedule(const Problem& problem, Bytes limit,
                                                     OnlineScore score);

// Returns the plan of an execution within `budget` bytes, or within a little less where that needs
// more than it reckoned with, or nothing if none fits or one would compute again for more than
// `most_cost_ns`. No execution begins once `stop` says so.
TIDEMARK_API std::optional<Candidate> online_plan(
    const Problem& problem, Bytes budget, OnlineScore score, const std::function<bool()>& stop,
    Nanoseconds most_cost_ns = std::numeric_limits<Nanoseconds>::max());

}  // namespace tidemark
