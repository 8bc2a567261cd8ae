// CoreSearch: the cheapest schedule for one budget, from all constructors, cheapest first.
//
// The plans for a little less and a little more memory are loosened and tightened; the greedy
// repair starts from everything kept; the look-ahead executor follows keep sets of several sizes,
// other ones in every search, all at first for a budget that is asked for; next to the floor of
// large steps the frontier program (frontier_program.h) and a descent in small steps
// (continuation.h) join in; ruin and recreate goes on from the best, and further for a budget that
// is asked for, where the published policies are asked, too. Whoever comes within a hair of the
// lower bound ends the search; in small steps the quick ones of those policies are asked still. All
// of them work on one Residency; the winner is simulated.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/continuation.h"
#include "tidemark/plan/policies.h"
#include "tidemark/plan/repair.h"
#include "tidemark/plan/residency.h"

namespace tidemark {

struct CoreOptions {
  // How hard to look, as a multiple of the usual.
  double effort = 1;
  // Whether the schedules of other policies take part.
  bool with_baselines = true;
  // Whether the frontier program and the budget continuation do, near the floor of large steps.
  bool with_descents = true;
  Stop stop;
  // Told before every search of a budget which.
  std::function<void(Bytes)> told;
};

class TIDEMARK_API CoreSearch {
 public:
  // The workbench must outlive this.
  CoreSearch(Workbench& bench, CoreOptions options);

  // Returns the cheapest plan found within `budget` that is no cheaper than `above`, the plan for
  // more memory, and no dearer than `below`, the plan for less, if there is one. `depth` counts the
  // searches that led to these two: it decides which constructors are tried.
  std::optional<Found> run(Bytes budget, const Found* below, const Found& above, int depth);

  // Returns the cheapest plan within `budget` of some passes of the executor, with keep sets of
  // several sizes, if they find one. It looks at least once, is not told of, and changes nothing
  // for run().
  std::optional<Found> look_at_once(Bytes budget);

  // Returns a plan within `budget` that is cheaper than `known`, the best so far if there is one:
  // by more ruin and recreate, and from the other policies.
  std::optional<Found> refine(const Found* known, Bytes budget);

  // Returns the plan of least peak to which small steps down from `from` lead, if they lead down.
  std::optional<Found> lowest_below(const Found& from);

  // What the executor is told, and the part of the room at a high moment, 0 the highest, that the
  // keep set fills which it is to follow; 0: it has no keep set.
  struct Pass {
    LookaheadParameters parameters;
    double share = 0;
    std::size_t moment = 0;
  };

  // Whether it was told to stop.
  bool is_stopped() const { return options_.stop && options_.stop(); }

  // What all searches so far have taken, as Residency::work() counts.
  std::int64_t work() const { return residency_.work(); }

 private:
  // A schedule of the frontier program: its windows, and the part of the room it is made for.
  struct Skeleton {
    int windows = 0;
    double share = 0;
  };
  struct Kept {
    Schedule schedule;
    Nanoseconds cost_ns = 0;
    std::string_view policy;
  };
  void follow_keep_sets(std::size_t moment);
  void construct(int depth);
  void construct_by_force();
  void begin(Bytes budget, Nanoseconds least_cost_ns, Nanoseconds bound_ns);
  std::optional<Kept> cheapest_rival();
  void meet_rivals(Nanoseconds below_ns, Nanoseconds most_cost_ns);
  void meet_ready_rivals(Nanoseconds below_ns);
  void meet_online_rivals(Nanoseconds most_cost_ns);
  void follow_all_parameters(Nanoseconds most_cost_ns);
  void loosen(const Found& below);
  void tighten(const Found& above, int cuts_per_clean_up);
  void construct_near_floor(const Found& above);
  bool is_near_floor() const;
  void follow(const Skeleton& skeleton);
  void descend(const Found& above);
  void fit_from_scratch(double share, double noise = 0);
  void follow(const Pass& pass, Bytes limit, Nanoseconds most_cost_ns);
  void improve(std::int64_t work);
  void start_afresh();
  void keep_cheaper(const std::optional<Kept>& other);
  std::optional<Found> found() const;
  void offer(std::string_view policy);
  void keep(std::string_view policy);
  double most_gain() const;
  bool is_done() const;
  bool is_unrivalled() const;
  bool is_between_neighbours(const Found* below, const Found& above) const;
  Nanoseconds most_cost_ns() const;
  void favour(double share);
  int num_events() const;
  std::int64_t most_work() const;
  std::int64_t most_refinement() const;
  std::int64_t most_near_floor_work() const;

  Workbench& bench_;
  CoreOptions options_;
  Bytes floor_bytes_;
  std::int64_t work_;  // what ruin and recreate may take for one budget
  Residency residency_;
  Repair repair_;
  Continuation continuation_;
  std::int64_t near_floor_work_;
  Bytes budget_ = 0;
  Nanoseconds least_cost_ns_ = 0;  // never cheaper than the plan for more memory
  Nanoseconds bound_ns_ = 0;
  std::optional<Kept> best_;
};

}  // namespace tidemark
