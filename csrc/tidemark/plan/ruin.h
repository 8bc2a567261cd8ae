// Ruin and recreate: improves a schedule that fits by breaking a little of it and mending that.
//
// Each round takes some neighbouring replays away, or cuts another stretch, forbids what it undid
// for the moment (or the mending would only put it back), lets repair.h make the schedule fit again
// with noise in its scores, cleans up nearby and keeps the result if it is no dearer, or hardly
// (Schrimpf et al. 2000, with threshold accepting). Deterministic: the seed is fixed and rounds are
// limited by work, not by time.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/plan/repair.h"
#include "tidemark/plan/residency.h"

namespace tidemark {

struct RuinOptions {
  Bytes budget = 0;
  // Steps of Residency::work() after which it ends.
  std::int64_t work = 0;
  // Ends where the cost is down to this, and never goes below.
  Nanoseconds enough_ns = 0;
  // How much dearer than the current schedule an accepted one may be at first, as a part of it.
  double tolerance = 1e-3;
  std::uint32_t seed = 1;
  // Asked before every round; ends where it returns true.
  std::function<bool()> stop;
};

class TIDEMARK_API Ruin {
 public:
  // The residency must outlive this.
  explicit Ruin(Residency& residency);

  // Improves the residency's schedule; at the end it holds the cheapest found.
  // REQUIRES: it fits the budget.
  void run(const RuinOptions& options);

 private:
  void round(const RuinOptions& options, double tolerance);
  void remove_neighbours();
  void remove_a_run();
  const Gap& full_gap(Bytes budget);
  void cut_a_stretch(Bytes budget);
  void remove(Rerun rerun, bool is_forbidden);
  void clean_up_nearby(const RuinOptions& options, std::size_t mark);
  void collect();
  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint32_t>(n)); }

  Residency& residency_;
  const StepGraph& graph_;
  Repair repair_;
  std::int64_t last_work_ = 0;  // of the residency, where it ends
  std::mt19937 random_;
  std::vector<Rerun> reruns_;  // of the current schedule, by event
  std::vector<ValueIndex> forbidden_;
};

}  // namespace tidemark
