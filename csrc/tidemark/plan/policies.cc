#include "tidemark/plan/policies.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "tidemark/plan/bptt_planner.h"
#include "tidemark/plan/cheap_planner.h"
#include "tidemark/plan/chen_planner.h"
#include "tidemark/plan/knapsack_planner.h"
#include "tidemark/plan/online_planner.h"
#include "tidemark/plan/optimal_segments_planner.h"
#include "tidemark/plan/repair.h"
#include "tidemark/plan/revolve_planner.h"
#include "tidemark/plan/rotor_planner.h"
#include "tidemark/plan/segments.h"

namespace tidemark {
namespace {

void keep_all(Search& search) { search.offer(everything_kept(search.problem()), "keep_all"); }

// Policies that know no budget: the cheapest of their schedules that fits.
void offer_all(Search& search, std::string_view policy, Workbench::ScheduleMaker make) {
  for (const Candidate& candidate : search.bench().candidates(policy, make))
    search.offer(candidate, policy);
}

void square_root(Search& search) { offer_all(search, "sqrt", segment_schedules); }
void chen(Search& search) { offer_all(search, "chen", chen_schedules); }
void optimal_segments(Search& search) { offer_all(search, "segments", optimal_segment_schedules); }
void revolve(Search& search) { offer_all(search, "revolve", revolve_schedules); }
void bptt(Search& search) { offer_all(search, "bptt", bptt_schedules); }
void rotor(Search& search) { offer_all(search, "rotor", rotor_schedules); }
void cheap(Search& search) { offer_all(search, "cheap", cheap_schedules); }
void knapsack(Search& search) { offer_all(search, "knapsack", knapsack_schedules); }

// The executor reckons with what is always there, the simulator with what really is: where the two
// differ, a little less is asked of the executor.
constexpr std::array<double, 4> kOnlineShares{1, 0.98, 0.95, 0.9};

void online(Search& search, std::string_view policy, OnlineScore score) {
  for (double share : kOnlineShares) {
    if (search.best() || search.is_over()) return;
    const auto limit = static_cast<Bytes>(share * static_cast<double>(search.budget()));
    if (auto schedule = online_schedule(search.problem(), limit, score))
      search.offer(std::move(*schedule), policy);
  }
}

void dtr(Search& search) { online(search, "dtr", OnlineScore::kDtrEq); }
void dtr_local(Search& search) { online(search, "dtr_local", OnlineScore::kDtrLocal); }
void lru(Search& search) { online(search, "lru", OnlineScore::kLru); }
void dte(Search& search) { online(search, "dte", OnlineScore::kDte); }

void look_ahead(Search& search) {
  for (const LookaheadParameters& parameters : lookahead_parameters()) {
    if (search.is_over()) return;
    const auto schedule = search.bench().lookahead().run(search.budget(), parameters);
    if (schedule) search.offer_clean(*schedule, "lookahead");
  }
}

struct Policy {
  std::string_view name;
  void (*look)(Search&);
};

constexpr Policy kPolicies[] = {
    {"keep_all", keep_all},
    {"sqrt", square_root},
    {"lookahead", look_ahead},
    {"chen", chen},
    {"segments", optimal_segments},
    {"revolve", revolve},
    {"bptt", bptt},
    {"rotor", rotor},
    {"cheap", cheap},
    {"knapsack", knapsack},
    {"dtr", dtr},
    {"dtr_local", dtr_local},
    {"lru", lru},
    {"dte", dte},
};
constexpr std::array<std::string_view, 2> kTreePolicies{"auto", "mincut"};

}  // namespace

void Search::offer(Schedule schedule, std::string_view policy) {
  if (auto candidate = judge(problem(), std::move(schedule))) offer(std::move(*candidate), policy);
}

void Search::offer(Candidate candidate, std::string_view policy) {
  if (candidate.simulation.peak_bytes > budget_) return;
  if (best_ && !is_better(candidate, best_->candidate)) return;
  best_ = Found{std::move(candidate), std::string(policy)};
}

void Search::offer_clean(const Schedule& schedule, std::string_view policy) {
  Residency residency(bench_.facts());
  residency.load(schedule);
  if (residency.peak_bytes() <= budget_) Repair(residency).clean_up(budget_);
  offer(residency.schedule(), policy);
}

std::vector<std::string> policies() {
  std::vector<std::string> names(kTreePolicies.begin(), kTreePolicies.end());
  for (const Policy& policy : kPolicies) names.emplace_back(policy.name);
  return names;
}

bool is_policy(std::string_view name) {
  return is_tree_policy(name) ||
         std::ranges::any_of(kPolicies, [name](const Policy& p) { return p.name == name; });
}

bool is_tree_policy(std::string_view name) {
  return std::ranges::find(kTreePolicies, name) != kTreePolicies.end();
}

void look(std::string_view name, Search& search) {
  for (const Policy& policy : kPolicies)
    if (policy.name == name) policy.look(search);
}

const std::vector<Candidate>& Workbench::candidates(std::string_view policy, ScheduleMaker make) {
  const auto [place, is_new] = candidates_.try_emplace(policy);
  if (!is_new) return place->second;
  for (Schedule& schedule : make(problem_))
    if (auto candidate = judge(problem_, std::move(schedule)))
      place->second.push_back(std::move(*candidate));
  return place->second;
}

}  // namespace tidemark
