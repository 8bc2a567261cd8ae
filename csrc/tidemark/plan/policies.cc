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
#include "tidemark/plan/revolve_planner.h"
#include "tidemark/plan/rotor_planner.h"
#include "tidemark/plan/segments.h"

namespace tidemark {
namespace {

// Polishing simulates the step hundreds of times: only the few best schedules are worth it.
constexpr std::size_t kPoolSize = 3;
constexpr int kLeastTrials = 32;
constexpr int kMostTrials = 120;
constexpr int kPolishEvents = 150'000;  // in all simulations of one polishing

void keep_all(Search& search) { search.offer(Schedule{}, "keep_all"); }

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

// The first ones win most often.
constexpr std::array<LookaheadParameters, 18> kParameters{{
    {.alpha = 1, .beta = 1, .gamma = 1},
    {.alpha = 1, .beta = 0.5, .gamma = 1},
    {.alpha = 1, .beta = 0, .gamma = 1},
    {.alpha = 0.7, .beta = 1, .gamma = 1},
    {.alpha = 0.7, .beta = 0.5, .gamma = 1},
    {.alpha = 0.7, .beta = 0, .gamma = 1},
    {.alpha = 1.3, .beta = 1, .gamma = 1},
    {.alpha = 1.3, .beta = 0.5, .gamma = 1},
    {.alpha = 1.3, .beta = 0, .gamma = 1},
    {.alpha = 1, .beta = 1, .gamma = 0.6},
    {.alpha = 0.7, .beta = 1, .gamma = 0.6},
    {.alpha = 1, .beta = 0.5, .gamma = 0.6},
    {.alpha = 1, .beta = 0, .gamma = 1, .headroom = 0.05},
    {.alpha = 1, .beta = 0, .gamma = 1, .headroom = 0.1},
    {.alpha = 1, .beta = 0, .gamma = 1, .headroom = 0.2},
    {.alpha = 0.7, .beta = 0.25, .gamma = 1, .headroom = 0.05},
    {.alpha = 1, .beta = 0.25, .gamma = 1, .headroom = 0.1},
    {.alpha = 1, .beta = 0.5, .gamma = 1, .headroom = 0.2},
}};
constexpr double kNearBound = 1.03;
// Parts of the room at the peak that a keep set fills; the rest is for replays to come.
constexpr std::array<double, 3> kShares{0.95, 0.8, 0.4};
constexpr std::array<LookaheadParameters, 2> kGuided{{
    {.alpha = 1, .beta = 0.5, .gamma = 1},
    {.alpha = 0.7, .beta = 0.25, .gamma = 0.6},
}};

void try_lookahead(Search& search, const LookaheadParameters& parameters,
                   const std::vector<ValueIndex>& favoured) {
  auto schedule = search.bench().lookahead().run(search.budget(), parameters, favoured);
  if (schedule) search.offer(std::move(*schedule), "lookahead");
}

// So near to what no plan can beat that further parameters are not worth their time.
bool is_near_the_bound(Search& search, Nanoseconds bound) {
  if (!search.best()) return false;
  const auto cost = static_cast<double>(search.best()->simulation.recompute_ns);
  return cost <= static_cast<double>(bound) * kNearBound;
}

void look_ahead(Search& search) {
  const LowerBound& bound = search.bench().bound();
  const Nanoseconds least = bound.at(search.budget());
  const auto is_done = [&] { return search.is_over() || is_near_the_bound(search, least); };
  for (double share : kShares) {
    const std::vector<ValueIndex> favoured = bound.keep_set(search.budget(), share);
    for (const LookaheadParameters& parameters : kGuided)
      if (!is_done()) try_lookahead(search, parameters, favoured);
  }
  for (const LookaheadParameters& parameters : kParameters)
    if (!is_done()) try_lookahead(search, parameters, {});
}

struct Policy {
  std::string_view name;
  void (*look)(Search&);
};

void automatic(Search& search);

constexpr Policy kPolicies[] = {
    {"auto", automatic},       {"keep_all", keep_all}, {"sqrt", square_root},
    {"lookahead", look_ahead}, {"chen", chen},         {"segments", optimal_segments},
    {"revolve", revolve},      {"bptt", bptt},         {"rotor", rotor},
    {"cheap", cheap},          {"knapsack", knapsack}, {"dtr", dtr},
    {"dtr_local", dtr_local},  {"lru", lru},           {"dte", dte},
};

void automatic(Search& search) {
  for (const auto& look : {keep_all, square_root, look_ahead})
    if (!search.is_over()) look(search);
}

}  // namespace

bool Search::is_late() {
  if (!is_late_) is_late_ = Clock::now() >= deadline_;
  return is_late_;
}

void Search::remember(Candidate candidate, std::string_view policy) {
  if (!best_ || is_better(candidate, *best_)) {
    best_ = candidate;
    policy_ = policy;
  }
  const auto place = std::ranges::find_if(
      pool_, [&](const Found& found) { return is_better(candidate, found.candidate); });
  pool_.insert(place, {std::move(candidate), policy});
  if (pool_.size() > kPoolSize) pool_.pop_back();
}

void Search::offer(Schedule schedule, std::string_view policy) {
  for (const Found& found : pool_)
    if (found.candidate.schedule == schedule) return;
  if (auto candidate = judge(problem(), std::move(schedule))) offer(std::move(*candidate), policy);
}

void Search::offer(Candidate candidate, std::string_view policy) {
  if (candidate.simulation.peak_bytes <= budget_) remember(std::move(candidate), policy);
}

void Search::polish() {
  const int num_events = std::max(problem().graph().num_events(), 1);
  const int num_trials = std::clamp(kPolishEvents / num_events, kLeastTrials, kMostTrials);
  const std::vector<Found> pool = std::move(pool_);
  pool_.clear();
  for (const Found& found : pool) {
    if (is_late()) return;
    remember(cleanup(problem(), found.candidate, budget_, num_trials), found.policy);
  }
}

std::vector<std::string> policies() {
  std::vector<std::string> names;
  for (const Policy& policy : kPolicies) names.emplace_back(policy.name);
  return names;
}

bool is_policy(std::string_view name) {
  return std::ranges::any_of(kPolicies, [name](const Policy& p) { return p.name == name; });
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
