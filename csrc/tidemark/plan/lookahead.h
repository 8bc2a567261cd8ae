// The look-ahead planner: an executor that knows the whole step beforehand.
//
// It walks through the events with a limit in bytes. Where the limit would be passed it gives up
// the values that cost least to have again, per byte and per event until they are wanted; where a
// given-up value is wanted it computes the missing chain again, and what comes up on the way stays
// as long as there is room. The score is that of Kirisame et al. 2021 (DTR, h_DTR) with the true
// next use in the place of staleness. Cost: one scan over the idle values per value given up.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

// A value is given up where cost^gamma / (bytes^alpha * distance^beta) is least; `cost` includes
// its missing ancestors, `distance` is the number of events until it is wanted.
struct LookaheadParameters {
  double alpha = 1;
  double beta = 1;
  double gamma = 1;
  // Part of the limit that stays free until the unplanned peak, for the replays that come then.
  double headroom = 0;
};

// The parameters worth trying without a guide; the first ones win most often.
TIDEMARK_API std::span<const LookaheadParameters> lookahead_parameters();

class TIDEMARK_API Lookahead {
 public:
  // Prepares what all passes over the step share. The problem must outlive this.
  explicit Lookahead(const Problem& problem);
  ~Lookahead();

  // Returns what to replay so that the step stays within `limit`, or nothing if these parameters
  // find no way, or none that costs less than `most_cost_ns` and runs no op more often than
  // kMostReplays times on the average. The caller simulates it: the executor's own sums are a
  // guide, not a promise.
  std::optional<Schedule> run(Bytes limit, const LookaheadParameters& parameters,
                              const std::vector<ValueIndex>& favoured = {},
                              Nanoseconds most_cost_ns = kEndless) const;
  static constexpr Nanoseconds kEndless = std::numeric_limits<Nanoseconds>::max();
  static constexpr int kMostReplays = 12;

  struct Course;

 private:
  const Problem& problem_;
  std::unique_ptr<const Course> course_;
};

}  // namespace tidemark
