// Gruslys et al. 2016, "Memory-efficient backpropagation through time" (arXiv 1606.03401).
//
// A chain of t equal steps and m units of memory, a unit being a hidden state. Costs are forward
// steps, the one right before each backward step included; y is where the next thing is stored:
//
//   HSM, hidden states     C(t, m) = min over 1 <= y < t of   y + C(t - y, m - 1) + C(y, m)
//   ISM, internal states   C(t, m) = min over 1 <= y <= t of  y + C(t - y, m - 1) + C(y - 1, m)
//   MSM, mixed             the least of HSM's term and y + C(t - y, m - alpha) + C(y - 1, m)
//
// with C(t, 1) = t (t + 1) / 2 for HSM and MSM. An internal state is the tape of a step and takes
// alpha units (1 for ISM). The policy is MSM on the stages of stages.h with their mean alpha.
#pragma once

#include <cstdint>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/stages.h"

namespace tidemark {

struct BpttRules {
  bool stores_hidden = true;
  bool stores_internal = true;
  int alpha = 1;  // units of an internal state
};
inline constexpr BpttRules kHsm{true, false, 1};
inline constexpr BpttRules kIsm{false, true, 1};
constexpr BpttRules msm(int alpha) { return {true, true, alpha}; }

class TIDEMARK_API BpttTable {
 public:
  // Costs for up to `steps` steps and `units` units; O(steps^2 * units).
  BpttTable(int steps, int units, const BpttRules& rules);

  // Returns C(steps, units), or kImpossible.
  static constexpr std::int64_t kImpossible = std::int64_t{1} << 40;
  std::int64_t cost(int steps, int units) const;

  // What to do first with that many steps and units.
  struct Choice {
    int y = 0;
    bool is_internal = false;
  };
  Choice choice(int steps, int units) const;
  int alpha() const noexcept { return rules_.alpha; }

 private:
  BpttRules rules_;
  int units_;
  std::vector<std::int64_t> costs_;
  std::vector<Choice> choices_;
};

// Returns the schedule of the table for all stages within that many units.
// REQUIRES: the table covers them, and its cost is not kImpossible.
TIDEMARK_API Schedule bptt_schedule(const Problem& problem, const std::vector<Stage>& stages,
                                    const BpttTable& table, int units);

// Returns the schedules of MSM for many numbers of units.
TIDEMARK_API std::vector<Schedule> bptt_schedules(const Problem& problem);

}  // namespace tidemark
