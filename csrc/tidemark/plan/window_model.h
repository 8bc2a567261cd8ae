// WindowModel: what no plan can do without, seen at several moments at once, as a mixed-integer
// linear programme.
//
// A minimum cut at one moment (keep_cut.h) charges what has to be computed again after it, once. It
// does not see that what is kept for the last part of the step takes the room of what the part
// before wants. Here the step is cut into windows, each from inside one moment to inside the next;
// with w a window, v a value and j an op:
//
//   keep[w][v]   v lies in memory at the moment that begins the window
//   run[w][j]    j is computed again in the window
//
//   sum of bytes[v] * keep[w][v] <= budget - what the program itself holds there
//   keep[w][v] + run[w][op of v] >= 1   where a gap that is open at the moment ends in the window
//   run[w][j] <= keep[w][u] + run[w][op of u]            for all u that j reads
//   keep[w + 1][v] <= keep[w][v] + run[w][op of v]       unless v is first made in the window
//
// It minimises the time of all runs. Whatever memory is taken between two moments is left out, and
// so is how often an op runs in one window: every plan within the budget is a solution, and the
// least is a lower bound. The more moments, the higher it is, and the longer the solver takes. The
// linear relaxation alone is weak: a tenth of ten values counts like one.
#pragma once

#include <span>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/milp.h"
#include "tidemark/plan/moment.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/simulate.h"

namespace tidemark {

class TIDEMARK_API WindowModel {
 public:
  // A window begins at each of `moments`; before the first everything is free.
  // REQUIRES: `moments` ascend, each an op or a host event; no plan's floor is above the budget.
  WindowModel(const Problem& problem, Bytes budget, const std::vector<EventIndex>& moments);

  const Milp& programme() const noexcept { return programme_; }

  // Returns up to `count` events between the moments, at most one in a window, where what a
  // solution keeps from moment to moment passes the budget most: the moments to look at besides.
  std::vector<EventIndex> exceeded(std::span<const double> solution, int count) const;

 private:
  struct Window {
    Moment moment;
    EventIndex end;                 // the next moment, or the number of events
    Bytes room;                     // beside what the program holds at the moment
    std::vector<int> keep;          // column per value, negative where it has none
    std::vector<int> run;           // per op, likewise
    std::vector<Milp::Term> bytes;  // of all columns in `keep`
  };
  // A column whose rows are yet to be added: of a value or of an op.
  struct Open {
    int window = 0;
    ValueIndex value = kNone;
    EventIndex op = kNone;
  };
  using Solution = std::span<const double>;
  void add_kept(int w, Solution solution, std::vector<Bytes>& bytes) const;
  int keep(int w, ValueIndex v);
  int run(int w, EventIndex op);
  void add_rows(const Open& open);
  void limit(const Window& window);

  const Problem& problem_;
  Bytes budget_;
  std::vector<Reading> held_;  // by the program itself
  std::vector<Window> windows_;
  std::vector<Open> open_;
  Milp programme_;
};

// Returns moments to begin with, in order: where the step takes most, and in each of `count` even
// parts of where it passes the budget the one at which the program itself holds most. None if it
// passes it nowhere.
TIDEMARK_API std::vector<EventIndex> window_moments(const Problem& problem, Bytes budget,
                                                    int count);

}  // namespace tidemark
