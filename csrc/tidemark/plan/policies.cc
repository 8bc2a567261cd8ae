#include "tidemark/plan/policies.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "tidemark/plan/lookahead.h"
#include "tidemark/plan/segments.h"

namespace tidemark {
namespace {

// Polishing simulates the step hundreds of times: only the few best schedules are worth it.
constexpr std::size_t kPoolSize = 2;
constexpr int kPolishTrials = 120;

void keep_all(Search& search, Effort) { search.offer({}, "keep_all"); }

void square_root(Search& search, Effort effort) {
  for (int count : segment_counts(search.problem()))
    for (SegmentWeight weight : {SegmentWeight::kOps, SegmentWeight::kBytes}) {
      if (effort == Effort::kQuick && weight == SegmentWeight::kBytes) continue;
      if (search.is_late()) return;
      search.offer(segment_schedule(search.problem(), count, weight), "sqrt");
    }
}

// The first ones win most often; a quick look takes only those.
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
constexpr std::size_t kNumQuick = 3;

void look_ahead(Search& search, Effort effort) {
  const std::size_t count = effort == Effort::kQuick ? kNumQuick : kParameters.size();
  const Lookahead lookahead(search.problem());
  for (std::size_t i = 0; i < count && !search.is_late(); ++i)
    if (auto schedule = lookahead.run(search.budget(), kParameters[i]))
      search.offer(std::move(*schedule), "lookahead");
}

struct Policy {
  std::string_view name;
  void (*look)(Search&, Effort);
};

void automatic(Search& search, Effort effort);

constexpr Policy kPolicies[] = {
    {"auto", automatic},
    {"keep_all", keep_all},
    {"sqrt", square_root},
    {"lookahead", look_ahead},
};

void automatic(Search& search, Effort effort) {
  for (const Policy& policy : kPolicies)
    if (policy.look != automatic) policy.look(search, effort);
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
  auto candidate = judge(problem_, std::move(schedule));
  if (!candidate) return;
  if (!smallest_ || candidate->simulation.peak_bytes < smallest_->simulation.peak_bytes)
    smallest_ = candidate;
  if (candidate->simulation.peak_bytes <= budget_) remember(std::move(*candidate), policy);
}

void Search::polish() {
  const std::vector<Found> pool = std::move(pool_);
  pool_.clear();
  for (const Found& found : pool) {
    if (is_late()) return;
    remember(cleanup(problem_, found.candidate, budget_, kPolishTrials), found.policy);
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

void look(std::string_view name, Search& search, Effort effort) {
  for (const Policy& policy : kPolicies)
    if (policy.name == name) policy.look(search, effort);
}

}  // namespace tidemark
