// Beaumont, Eyraud-Dubois, Herrmann, Joly and Shilova 2019 ("Rotor", arXiv 1911.13214): the best
// persistent schedule of a chain of different stages, by dynamic programming over memory.
//
//   theirs           ours
//   a[i], x[i]       state_bytes: what goes into stage i; a gradient of it takes as much
//   abar[i], xbar    tape_bytes + the next state: what F_all(i) keeps
//   F_ck, F_all, B   forward with the state kept, forward with the tape kept, backward
//   m, M             slots of memory; sizes are rounded up to them
//   T[m][i][j]       the least time for stages i..j, x[i] being stored beside m
//
//   (A)  min over k of f[i] + ... + f[k - 1] + T[m - x[k]][k][j] + T[m][i][k - 1]
//   (B)  F_all(i), T[m - xbar[i + 1]][i + 1][j], B(i)
//
// A stage may have several ways of F_all, with less tape and more time (the multi-option form:
// rockmate_planner.h); this policy's stages have one. One table answers all budgets.
#pragma once

#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/stages.h"

namespace tidemark {

// One way to run a stage forward with its tape kept, and backward.
struct RotorOption {
  int kept = 0;             // slots: the tape and the next state
  int forward_slots = 0;    // taken in passing by the forward
  int backward_slots = 0;   // and by the backward
  Nanoseconds time_ns = 0;  // of both
};

struct RotorStage {
  int state = 0;          // slots of what goes in
  int passing_slots = 0;  // taken by a forward that keeps nothing, besides the next state
  Nanoseconds forward_ns = 0;
  std::vector<RotorOption> options;
};

class TIDEMARK_API RotorTable {
 public:
  // The table for up to `slots` slots; O(stages^3 * slots).
  RotorTable(std::vector<RotorStage> stages, int slots);

  static constexpr Nanoseconds kImpossible = Nanoseconds{1} << 61;
  // Returns the least time of all stages within `slots` slots, or kImpossible.
  Nanoseconds time(int slots) const { return time(0, size() - 1, slots); }

  // The first thing to do for stages i..j: store state `k` after running i..k-1 (k > i), or keep
  // the tape of stage i by its option (k == i).
  struct Choice {
    int k = 0;
    int option = 0;
  };
  // REQUIRES: time(i, j, slots) is possible.
  Choice choice(int i, int j, int slots) const;
  Nanoseconds time(int i, int j, int slots) const;

  int size() const noexcept { return static_cast<int>(stages_.size()); }
  const std::vector<RotorStage>& stages() const noexcept { return stages_; }

 private:
  std::size_t row(int i, int j) const;
  void fill(int i, int j);
  int passing_slots(int i, int j) const;

  std::vector<RotorStage> stages_;
  int slots_;
  std::vector<Nanoseconds> prefix_ns_;
  std::vector<Nanoseconds> times_;
};

// A way to keep less of a stage's tape: the rest is computed again right before its backward.
struct StageOption {
  Bytes dropped_bytes = 0;
  Nanoseconds rerun_ns = 0;
  std::vector<EventIndex> reruns;
};

// Returns the schedules of the chain of `stages` for budgets between least and most. `options`: at
// least one per stage.
std::vector<Schedule> schedules_of_chain(const Problem& problem, const std::vector<Stage>& stages,
                                         const std::vector<std::vector<StageOption>>& options);

TIDEMARK_API std::vector<Schedule> rotor_schedules(const Problem& problem);

}  // namespace tidemark
