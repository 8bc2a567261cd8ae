#include "tidemark/plan/least_feasible.h"

#include <algorithm>
#include <utility>

#include "tidemark/base/error.h"

namespace tidemark {
namespace {

// The range is divided into so many parts; a few bytes may be one more value there.
constexpr Bytes kParts = 4096;
// In steps with more events the last halvings would take most of the time; they have values enough
// for one more or less to be a small part of the range.
constexpr int kLarge = 2000;
constexpr Bytes kPartsOfLarge = 256;
// Steps with fewer events are divided down to single bytes.
constexpr int kSmall = 256;
constexpr Nanoseconds kCost = 1000;
// What all halvings may take, per event and at least: those that find no plan take ten times as
// long as the others.
constexpr std::int64_t kWorkPerEvent = 2000;
constexpr std::int64_t kLeastWork = 10'000'000;

StepGraph with_one_cost(StepGraph graph) {
  for (Event& event : graph.events) event.cost_ns = kCost;
  return graph;
}

}  // namespace

LeastFeasible::LeastFeasible(const Problem& problem, Bytes floor, CoreOptions options)
    : problem_(problem), floor_(floor), options_(std::move(options)) {
  // It asks for many budgets that have no plan, which all take their time to say so.
  options_.with_descents = false;
}

const Found& LeastFeasible::plan() {
  if (!found_) found_ = search();
  return *found_;
}

Found LeastFeasible::search() {
  const StepGraph graph = with_one_cost(problem_.graph());
  const Problem problem(graph);
  Workbench bench(problem);
  CoreSearch search(bench, options_);
  Found least{everything_kept(problem), "keep_all"};
  const bool is_small = graph.num_events() < kSmall;
  const Bytes parts = graph.num_events() > kLarge ? kPartsOfLarge : kParts;
  const Bytes width =
      is_small ? 1 : std::max<Bytes>(1, (problem.unplanned().peak_bytes - floor_) / parts);
  const std::int64_t most_work = std::max(kLeastWork, kWorkPerEvent * graph.num_events());
  const auto is_over = [&] { return search.is_stopped() || search.work() > most_work; };
  Bytes from = floor_ - 1;
  for (int depth = 0; least.peak_bytes() - from > width && !is_over(); ++depth) {
    const Bytes half = from + (least.peak_bytes() - from) / 2;
    if (auto found = search.run(half, nullptr, least, depth)) {
      least = *std::move(found);
      on_the_way_.push_back(with_own_costs(least));
    } else {
      from = half;
    }
  }
  if (auto lower = search.lowest_below(least)) least = *std::move(lower);
  return with_own_costs(std::move(least));
}

Found LeastFeasible::with_own_costs(Found found) const {
  auto candidate = judge(problem_, std::move(found.candidate.schedule));
  TIDEMARK_ASSERT(candidate, "a plan of ", found.policy, " is none with other costs");
  return {*std::move(candidate), std::move(found.policy)};
}

}  // namespace tidemark
