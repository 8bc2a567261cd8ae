// Griewank and Walther 2000, "Algorithm 799: revolve" (ACM TOMS 26): a chain of equal steps with a
// fixed number of stored states, reversed with the fewest forward steps.
//
//   theirs         ours
//   c, snaps       slots: states that are stored at a time, that of the chain's input included
//   r, reps        sweeps: the most times that any step runs forward before its own backward
//   beta(c, r)     revolve_reach: the longest chain that c slots reverse in r sweeps, C(c + r, c)
//   t(l, c)        revolve_steps: forward steps for a chain of l, r * l - beta(c + 1, r - 1)
//
// States are stored, never tapes: every backward step runs its own stage forward once more, which
// t does not count. The closed form is for equal steps; for steps of different cost the same split
// is found by dynamic programming.
#pragma once

#include <cstdint>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

// Returns beta(slots, sweeps), or the largest number there is if it is larger.
TIDEMARK_API std::int64_t revolve_reach(std::int64_t slots, std::int64_t sweeps);

// Returns t(length, slots). REQUIRES: length >= 1, slots >= 1.
TIDEMARK_API std::int64_t revolve_steps(std::int64_t length, std::int64_t slots);

// Returns how far to run before the next state is stored, 1 <= k < length, by the closed form.
// REQUIRES: length >= 2, slots >= 1.
TIDEMARK_API int revolve_split(int length, int slots);

// The dynamic program over steps that cost `costs`. A table for up to `slots` slots.
class TIDEMARK_API RevolveTable {
 public:
  RevolveTable(const std::vector<Nanoseconds>& costs, int slots);

  // Returns what the forward steps for stages [begin, begin + length) cost.
  Nanoseconds cost(int begin, int length, int slots) const;
  // Returns how far to run before the next state is stored. REQUIRES: length >= 2.
  int split(int begin, int length, int slots) const;

 private:
  std::size_t index(int begin, int length, int slots) const;
  Nanoseconds with_split(int begin, int length, int slots, int k) const;

  int num_stages_;
  std::vector<Nanoseconds> prefix_;
  std::vector<Nanoseconds> costs_;
};

// Returns the schedules of both forms for many numbers of slots.
TIDEMARK_API std::vector<Schedule> revolve_schedules(const Problem& problem);

}  // namespace tidemark
