#include "tidemark/plan/knapsack_planner.h"

#include <algorithm>
#include <cmath>

#include "tidemark/plan/recompute_cut.h"

namespace tidemark {
namespace {

constexpr int kQuanta = 10'000;
constexpr int kNumShares = 20;  // steps of 5 %

class Budgeted {
 public:
  explicit Budgeted(const Problem& problem)
      : problem_(problem), graph_(problem.graph()), may_run_(graph_.events.size(), 0) {
    for (EventIndex e = 0; e < graph_.num_events(); ++e)
      may_run_[e] = !is_compute_intensive(graph_.events[e]);
    find_items();
  }

  std::vector<Schedule> run() const {
    std::vector<KnapsackItem> items;
    Bytes total = 0;
    for (EventIndex e : banned_) {
      items.push_back({graph_.events[e].cost_ns, kept_bytes(e)});
      total += items.back().weight;
    }
    std::vector<Bytes> capacities;
    for (int share = 0; share <= kNumShares; ++share)
      capacities.push_back(total / kNumShares * share);
    std::vector<Schedule> schedules;
    for (const std::vector<int>& taken : solve_knapsacks(items, capacities))
      schedules.push_back(schedule_without(taken));
    return schedules;
  }

 private:
  // Ops that may not run and whose results are wanted: all the minimum cut can do is keep those.
  void find_items() {
    std::vector<char> is_dropped(problem_.gaps().size(), 0);
    for (int gap : cut_gaps(problem_, may_run_)) is_dropped[gap] = 1;
    std::vector<char> is_banned(graph_.events.size(), 0);
    for (std::size_t gap = 0; gap < problem_.gaps().size(); ++gap) {
      const EventIndex producer = graph_.values[problem_.gaps()[gap].value].producer;
      if (!is_dropped[gap] && !may_run_[producer]) is_banned[producer] = 1;
    }
    for (EventIndex e = 0; e < graph_.num_events(); ++e)
      if (is_banned[e]) banned_.push_back(e);
  }

  Bytes kept_bytes(EventIndex e) const {
    Bytes bytes = 0;
    for (ValueIndex v : graph_.events[e].outputs)
      if (problem_.first_gap(v) < problem_.first_gap(v + 1)) bytes += graph_.values[v].bytes;
    return bytes;
  }

  Schedule schedule_without(const std::vector<int>& taken) const {
    std::vector<char> may_run = may_run_;
    for (EventIndex e : banned_) may_run[e] = 1;
    for (int item : taken) may_run[banned_[item]] = 0;
    return recompute_once(problem_, cut_gaps(problem_, may_run));
  }

  const Problem& problem_;
  const StepGraph& graph_;
  std::vector<char> may_run_;
  std::vector<EventIndex> banned_;
};

}  // namespace

std::vector<std::vector<int>> solve_knapsacks(const std::vector<KnapsackItem>& items,
                                              const std::vector<Bytes>& capacities) {
  Bytes total = 0;
  for (const KnapsackItem& item : items) total += item.weight;
  const auto quanta_of = [&](Bytes bytes) {
    return total == 0 ? 0.0 : static_cast<double>(bytes) * kQuanta / static_cast<double>(total);
  };
  const auto weight_of = [&](Bytes bytes) { return static_cast<int>(std::ceil(quanta_of(bytes))); };
  std::vector<Nanoseconds> worth(kQuanta + 1, 0);
  std::vector<std::vector<bool>> is_taken;
  for (const KnapsackItem& item : items) {
    const int weight = weight_of(item.weight);
    is_taken.emplace_back(kQuanta + 1, false);
    for (int room = kQuanta; room >= weight; --room) {
      if (worth[room - weight] + item.worth <= worth[room]) continue;
      worth[room] = worth[room - weight] + item.worth;
      is_taken.back()[room] = true;
    }
  }
  std::vector<std::vector<int>> answers;
  for (Bytes capacity : capacities) {
    int room = static_cast<int>(std::min<double>(quanta_of(capacity), kQuanta));
    std::vector<int>& taken = answers.emplace_back();
    for (int i = static_cast<int>(items.size()) - 1; i >= 0; --i) {
      if (!is_taken[i][room]) continue;
      taken.push_back(i);
      room -= weight_of(items[i].weight);
    }
  }
  return answers;
}

std::vector<Schedule> knapsack_schedules(const Problem& problem) { return Budgeted(problem).run(); }

}  // namespace tidemark
