// The look-ahead planner: an executor that knows the whole step beforehand.
//
// It walks through the events with a limit in bytes. Where the limit would be passed it gives up
// the values that cost least to have again, per byte and per event until they are wanted; where a
// given-up value is wanted it computes the missing chain again, and what comes up on the way stays
// as long as there is room. The score is that of Kirisame et al. 2021 (DTR, h_DTR) with the true
// next use in the place of staleness. Cost: one scan over the idle values per value given up.
#pragma once

#include <cstdint>
#include <functional>
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

struct LookaheadOptions {
  // Values better not given up before the unplanned peak.
  std::vector<ValueIndex> favoured;
  // Ends without a schedule where one would cost more, or has taken more steps.
  Nanoseconds most_cost_ns = std::numeric_limits<Nanoseconds>::max();
  std::int64_t most_work = std::numeric_limits<std::int64_t>::max();
  // Or where this says so.
  std::function<bool()> stop;
};

// The parameters worth trying without a guide; the first ones win most often.
TIDEMARK_API std::span<const LookaheadParameters> lookahead_parameters();

class TIDEMARK_API Lookahead {
 public:
  // Prepares what all passes over the step share. The problem must outlive this.
  explicit Lookahead(const Problem& problem);
  ~Lookahead();

  // Returns what to replay so that the step stays within `limit`, or nothing if these parameters
  // find no way within the options, or none that runs ops more often than kMostReplays times on the
  // average. The caller simulates it: the executor's own sums are a guide, not a promise. Adds the
  // elementary steps it took to `work`, whose unit is that of Residency::work().
  std::optional<Schedule> run(Bytes limit, const LookaheadParameters& parameters,
                              const LookaheadOptions& options, std::int64_t& work) const;
  std::optional<Schedule> run(Bytes limit, const LookaheadParameters& parameters) const;
  static constexpr int kMostReplays = 12;

  struct Course;

 private:
  const Problem& problem_;
  std::unique_ptr<const Course> course_;
};

}  // namespace tidemark
