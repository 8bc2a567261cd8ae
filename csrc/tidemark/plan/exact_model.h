// ExactModel: every schedule of a small step within a budget, as a mixed-integer linear programme.
//
// Checkmate's formulation (Jain et al., MLSys 2020, eq. 1-9) in the form of gaps and holds. Their
// stages t are the events that values are served at, where lists of replays can stand; with i a
// stage, v a value and j an op (theirs beside ours):
//
//   R[t,i]   run[i][j]    op j runs again in the list of stage i
//   S[t,i]   keep[i][v]   v lies in memory up to that list, though the program does not hold it
//   FREE     live         v, restored in the list, still lies in memory at its next read there
//   U[t,k]   the rows of bytes: per list and op, and per event between two lists
//
// What the program itself holds is a constant. Only stages after the first event that passes the
// budget have lists: up to there everything can be kept.
//
// A plan may also compute again after ops outside backward, which pays only where a step's peak
// lies long before values are served. Columns of their own stand for that, regain[i][v] and
// redo[i][j]: whatever such a replay reads is taken to be there. So the cheapest solution is a
// lower bound for every plan, a solution without these columns is a schedule, and with them closed
// the cheapest solution is the best of all plans that compute again where values are served.
//
// The programme grows with the square of the step; solvers give up at some hundred ops.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/milp.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/residency.h"

namespace tidemark {

class TIDEMARK_API ExactModel {
 public:
  // The problem must outlive this. Throws std::invalid_argument for a step whose programme has more
  // than kMostColumns columns.
  ExactModel(const Problem& problem, Bytes budget);
  static constexpr int kMostColumns = 1 << 17;

  const Milp& programme() const noexcept { return programme_; }

  // Returns whether it is clear without solving that no solution exists.
  bool is_impossible() const noexcept { return is_impossible_; }

  // Returns whether every plan is a solution. Not where some value can be computed again only
  // outside the lists, because what that needs is gone where the value is served, or where handles
  // keep what has no gap past its last use: schedules leave that to them.
  bool is_complete() const noexcept { return is_complete_; }

  // Per column whether it stands for replays outside the lists: to be closed where a schedule is
  // wanted.
  const std::vector<std::uint8_t>& is_outside() const noexcept { return is_outside_; }

  // Returns the schedule of a solution, one number per column, what lies outside the lists left
  // out.
  Schedule schedule_of(std::span<const double> solution) const;

  // Returns the plan of a solution for `budget`, or nothing if it breaks off or takes more: a
  // solver's numbers are whole only to its tolerance. `proven_ns`: no solution costs less
  // (what is above the plan's own cost is taken for that).
  std::optional<Plan> plan_of(std::span<const double> solution, Bytes budget,
                              Nanoseconds proven_ns) const;

 private:
  struct Stage {
    EventIndex event = 0;
    EventIndex last_outside = kNone;  // the last op since the stage before that replays can follow
    std::vector<int> keep;            // column per value, or kNone
    std::vector<int> run;             // column per op, or kNone
    std::vector<int> regain;          // per value, likewise
  };
  using Terms = std::vector<Milp::Term>;
  // What a list adds to memory while it runs: for ops in (after, until] of the list.
  struct Live {
    int column = kNone;
    EventIndex after = 0;
    EventIndex until = 0;
    Bytes bytes = 0;
  };
  void find_last_uses();
  void find_stages();
  void add_columns(int i);
  void add_keeps(int i);
  void add_regains(int i);
  void add_runs(int i);
  void check_size() const;
  bool can_run(const Stage& stage, EventIndex op) const;
  bool can_keep(int i, ValueIndex v) const;
  bool can_be_there(int i, ValueIndex v) const;
  static bool is_there(const Stage& stage, ValueIndex v) {
    return stage.keep[v] != kNone || stage.regain[v] != kNone;
  }
  int restore(const Stage& stage, ValueIndex v) const;
  void tie_keep(int i, ValueIndex v);
  void tie_run(const Stage& stage, EventIndex op);
  void serve(const Stage& stage);
  void limit_between(int i);
  void limit_list(int i);
  std::vector<Live> live_of(int i);
  void add_live_of(int i, ValueIndex v, std::vector<Live>& lives);
  int add_clone(int i, EventIndex op, ValueIndex input);
  void add_clones(int i, EventIndex op, std::vector<Live>& lives);
  void limit(const std::map<int, Bytes>& bytes, Bytes constant);

  // Whether it depends on the plan whether the value lies in memory.
  bool is_planned(ValueIndex v) const { return facts_.is_managed[v] || facts_.can_outlast[v]; }
  bool is_held(ValueIndex v, int point) const;
  bool is_served(ValueIndex v, EventIndex event) const;
  bool is_restored_by(EventIndex op, ValueIndex v) const;
  bool is_fresh(int i, ValueIndex v) const;
  Bytes bytes(ValueIndex v) const { return problem_.graph().values[v].bytes; }
  EventIndex producer(ValueIndex v) const { return problem_.graph().values[v].producer; }
  int keep_after(int i, ValueIndex v) const;

  const Problem& problem_;
  ResidencyFacts facts_;
  Bytes budget_;
  Bytes unit_ = 1;  // divides all bytes
  bool is_complete_ = false;
  bool is_impossible_ = false;
  std::vector<std::uint8_t> is_outside_;
  std::vector<EventIndex> last_use_;  // per value: the last event that it may be good for, or kNone
  std::vector<EventIndex> last_run_;  // per op: the last event that its results may be good for
  std::vector<Stage> stages_;
  Milp programme_;
};

}  // namespace tidemark
