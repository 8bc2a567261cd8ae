// Policies: ways to look for a schedule, by name, behind one interface.
//
// To add one: write its constructor of Schedules in a file of its own, and an entry in the table of
// policies.cc. Everything else (emission, promises, clean-up, least feasible budget, frontier) is
// shared.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidemark/plan/bound.h"
#include "tidemark/plan/cleanup.h"
#include "tidemark/plan/lookahead.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

// What the searches for one step share, whatever their budgets.
class TIDEMARK_API Workbench {
 public:
  // The problem must outlive this.
  explicit Workbench(const Problem& problem)
      : problem_(problem), lookahead_(problem), bound_(problem) {}

  const Problem& problem() const noexcept { return problem_; }
  const Lookahead& lookahead() const noexcept { return lookahead_; }
  const LowerBound& bound() const noexcept { return bound_; }
  // The schedules of a policy that knows no budget, simulated. Made when first asked for.
  using ScheduleMaker = std::vector<Schedule> (*)(const Problem&);
  const std::vector<Candidate>& candidates(std::string_view policy, ScheduleMaker make);

 private:
  const Problem& problem_;
  Lookahead lookahead_;
  LowerBound bound_;
  std::map<std::string_view, std::vector<Candidate>> candidates_;  // by policy
};

// How hard to look: a quick look decides only whether a budget has a plan.
enum class Effort { kQuick, kFull };

// A search for schedules: what it may spend, and what it has found so far.
class TIDEMARK_API Search {
 public:
  using Clock = std::chrono::steady_clock;

  // The workbench must outlive this.
  Search(Workbench& bench, Bytes budget, Effort effort, Clock::time_point deadline)
      : bench_(bench), budget_(budget), effort_(effort), deadline_(deadline) {}

  Workbench& bench() noexcept { return bench_; }
  const Problem& problem() const noexcept { return bench_.problem(); }
  Bytes budget() const noexcept { return budget_; }

  // Returns whether the time limit came before the search was done. Once true it stays true.
  bool is_late();
  // Returns whether to stop: late, or a quick look has found something.
  bool is_over() { return is_late() || (effort_ == Effort::kQuick && best_); }

  // Simulates the schedule and remembers it if it is one of the best so far that fit.
  void offer(Schedule schedule, std::string_view policy);
  void offer(Candidate candidate, std::string_view policy);

  // Cleans up the best plans found.
  void polish();

  const std::optional<Candidate>& best() const noexcept { return best_; }
  std::string_view policy() const noexcept { return policy_; }

 private:
  struct Found {
    Candidate candidate;
    std::string_view policy;
  };
  void remember(Candidate candidate, std::string_view policy);

  Workbench& bench_;
  Bytes budget_;
  Effort effort_;
  Clock::time_point deadline_;
  bool is_late_ = false;
  std::vector<Found> pool_;  // the few cheapest that fit, best first
  std::optional<Candidate> best_;
  std::string_view policy_;
};

TIDEMARK_API std::vector<std::string> policies();
TIDEMARK_API bool is_policy(std::string_view name);

// Offers the schedules of the named policy to the search.
// REQUIRES: is_policy(name).
TIDEMARK_API void look(std::string_view name, Search& search);

}  // namespace tidemark
