#include "tidemark/plan/policies.h"

#include <algorithm>
#include <array>

#include "tidemark/plan/online_planner.h"
#include "tidemark/plan/repair.h"

namespace tidemark {
namespace {

void keep_all(Search& search) { search.offer(everything_kept(search.problem()), "keep_all"); }

void online(Search& search, const OnlinePolicy& policy) {
  auto plan = online_plan(search.problem(), search.budget(), policy.score,
                          [&] { return search.is_over(); });
  if (plan) search.offer(*std::move(plan), policy.name);
}

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

constexpr Policy kPolicies[] = {{"keep_all", keep_all}, {"lookahead", look_ahead}};
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
  for (const ReadyPolicy& policy : ready_policies()) names.emplace_back(policy.name);
  for (const OnlinePolicy& policy : kOnlinePolicies) names.emplace_back(policy.name);
  return names;
}

bool is_policy(std::string_view name) {
  const std::vector<std::string> all = policies();
  return std::ranges::find(all, name) != all.end();
}

bool is_tree_policy(std::string_view name) {
  return std::ranges::find(kTreePolicies, name) != kTreePolicies.end();
}

void look(std::string_view name, Search& search) {
  for (const Policy& policy : kPolicies)
    if (policy.name == name) policy.look(search);
  for (const ReadyPolicy& policy : ready_policies()) {
    if (policy.name != name) continue;
    for (const Candidate& candidate : search.bench().candidates(policy))
      search.offer(candidate, policy.name);
  }
  for (const OnlinePolicy& policy : kOnlinePolicies)
    if (policy.name == name) online(search, policy);
}

const std::vector<Candidate>& Workbench::candidates(const ReadyPolicy& policy) {
  const auto [place, is_new] = candidates_.try_emplace(policy.name);
  if (!is_new) return place->second;
  for (Schedule& schedule : policy.make(problem_))
    if (auto candidate = judge(problem_, std::move(schedule)))
      place->second.push_back(std::move(*candidate));
  return place->second;
}

const FrontierProgram& Workbench::frontier_program(int windows) {
  return frontier_programs_.try_emplace(windows, problem_, windows).first->second;
}

}  // namespace tidemark
