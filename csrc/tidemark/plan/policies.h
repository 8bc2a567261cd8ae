// Policies: ways to look for a schedule, by name, behind one interface.
//
// To add one: write its constructor of Schedules in a file of its own, and an entry in the table of
// policies.cc, of rivals.cc if its schedules do not depend on the budget, or of online_planner.h if
// it decides as the step goes. Everything else (emission, promises, least feasible budget,
// frontier) is shared. "auto" and "mincut" are no entries there: they answer for all budgets at
// once (budget_tree.h).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidemark/plan/bound.h"
#include "tidemark/plan/candidate.h"
#include "tidemark/plan/frontier_program.h"
#include "tidemark/plan/lookahead.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/residency.h"
#include "tidemark/plan/rivals.h"

namespace tidemark {

// What the searches for one step share, whatever their budgets.
class TIDEMARK_API Workbench {
 public:
  // The problem must outlive this.
  explicit Workbench(const Problem& problem)
      : problem_(problem),
        facts_(problem),
        lookahead_(problem),
        bound_(problem),
        rivals_(problem) {}

  const Problem& problem() const noexcept { return problem_; }
  const ResidencyFacts& facts() const noexcept { return facts_; }
  const Lookahead& lookahead() const noexcept { return lookahead_; }
  LowerBound& bound() noexcept { return bound_; }
  Rivals& rivals() noexcept { return rivals_; }
  // Made when first asked for.
  const FrontierProgram& frontier_program(int windows);
  // All schedules of a policy, simulated. Made when first asked for.
  const std::vector<Candidate>& candidates(const ReadyPolicy& policy);

 private:
  const Problem& problem_;
  ResidencyFacts facts_;
  Lookahead lookahead_;
  LowerBound bound_;
  Rivals rivals_;
  std::map<std::string_view, std::vector<Candidate>> candidates_;  // by policy
  std::map<int, FrontierProgram> frontier_programs_;               // by windows
};

// A plan in the making, and who found it.
struct Found {
  Candidate candidate;
  std::string policy;

  Bytes peak_bytes() const noexcept { return candidate.simulation.peak_bytes; }
  Nanoseconds cost_ns() const noexcept { return candidate.simulation.recompute_ns; }
};

// Returns true where a search is to end with the best it has.
using Stop = std::function<bool()>;

// How hard to look: a quick look decides only whether a budget has a plan.
enum class Effort { kQuick, kFull };

// A search for schedules within one budget: what it may spend, and the best so far.
class TIDEMARK_API Search {
 public:
  // The workbench must outlive this.
  Search(Workbench& bench, Bytes budget, Effort effort, Stop stop)
      : bench_(bench), budget_(budget), effort_(effort), stop_(std::move(stop)) {}

  Workbench& bench() noexcept { return bench_; }
  const Problem& problem() const noexcept { return bench_.problem(); }
  Bytes budget() const noexcept { return budget_; }

  // Returns whether to end: told so, or a quick look has found something.
  bool is_over() const { return (effort_ == Effort::kQuick && best_) || stop_(); }

  // Simulates the schedule and remembers it if it fits and is the best so far.
  void offer(Schedule schedule, std::string_view policy);
  void offer(Candidate candidate, std::string_view policy);
  // The same, after replays that need not be have been taken away.
  void offer_clean(const Schedule& schedule, std::string_view policy);

  const std::optional<Found>& best() const noexcept { return best_; }

 private:
  Workbench& bench_;
  Bytes budget_;
  Effort effort_;
  Stop stop_;
  std::optional<Found> best_;
};

TIDEMARK_API std::vector<std::string> policies();
TIDEMARK_API bool is_policy(std::string_view name);

// Whether the policy answers for all budgets at once.
TIDEMARK_API bool is_tree_policy(std::string_view name);

// Offers the schedules of the named policy to the search.
// REQUIRES: is_policy(name) and not is_tree_policy(name).
TIDEMARK_API void look(std::string_view name, Search& search);

}  // namespace tidemark
