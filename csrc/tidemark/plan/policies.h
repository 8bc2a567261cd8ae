// Policies: ways to look for a schedule, by name, behind one interface.
//
// To add one: write its constructor of Schedules in a file of its own, and an entry in the table of
// policies.cc. Everything else (emission, promises, clean-up, least feasible budget, frontier) is
// shared.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidemark/plan/cleanup.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

// A search for schedules: what it may spend, and what it has found so far.
class Search {
 public:
  using Clock = std::chrono::steady_clock;

  Search(const Problem& problem, Bytes budget, Clock::time_point deadline)
      : problem_(problem), budget_(budget), deadline_(deadline) {}

  const Problem& problem() const noexcept { return problem_; }
  Bytes budget() const noexcept { return budget_; }

  // Returns whether the time limit came before the search was done. Once true it stays true.
  bool is_late();

  // Simulates the schedule and remembers it if it is the best so far that fits.
  void offer(Schedule schedule, std::string_view policy);

  // Cleans up the best plans found.
  void polish();

  const std::optional<Candidate>& best() const noexcept { return best_; }
  std::string_view policy() const noexcept { return policy_; }

  // The least peak of any schedule offered, fitting or not.
  const std::optional<Candidate>& smallest() const noexcept { return smallest_; }

 private:
  struct Found {
    Candidate candidate;
    std::string_view policy;
  };
  void remember(Candidate candidate, std::string_view policy);

  const Problem& problem_;
  Bytes budget_;
  Clock::time_point deadline_;
  bool is_late_ = false;
  std::vector<Found> pool_;  // the few cheapest that fit, best first
  std::optional<Candidate> best_;
  std::optional<Candidate> smallest_;
  std::string_view policy_;
};

// How hard to look: a quick look decides only whether a budget has a plan.
enum class Effort { kQuick, kFull };

TIDEMARK_API std::vector<std::string> policies();
TIDEMARK_API bool is_policy(std::string_view name);

// Offers the schedules of the named policy to the search.
// REQUIRES: is_policy(name).
TIDEMARK_API void look(std::string_view name, Search& search, Effort effort);

}  // namespace tidemark
