#include "tidemark/plan/revolve_planner.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "tidemark/plan/stages.h"

namespace tidemark {
namespace {

constexpr int kMostStages = 2000;
constexpr int kMostInTable = 60;  // the program is cubic in the stages
constexpr int kMostSlotsInTable = 12;

// How far to run before the next state is stored.
using Split = std::function<int(int begin, int length, int slots)>;

class Reversal {
 public:
  Reversal(const Problem& problem, const std::vector<Stage>& stages, Split split)
      : run_(problem, stages), split_(std::move(split)) {}

  void run(int begin, int length, int slots) {
    for (; length > 1; length = split_(begin, length, slots)) {
      const int k = split_(begin, length, slots);
      for (int stage = begin; stage < begin + k; ++stage) run_.forward(stage);
      // One slot holds this part's own input: without another all steps begin there.
      run(begin + k, length - k, std::max(slots - 1, 1));
    }
    run_.forward(begin);
    run_.backward(begin);
  }

  Schedule schedule() const { return run_.schedule(); }

 private:
  StageRun run_;
  Split split_;
};

Schedule reversal(const Problem& problem, const std::vector<Stage>& stages, int slots,
                  Split split) {
  Reversal reversal(problem, stages, std::move(split));
  reversal.run(0, static_cast<int>(stages.size()), slots);
  return reversal.schedule();
}

std::vector<int> slot_counts(int num_stages) {
  std::vector<int> counts;
  for (int slots = 1; slots < num_stages; slots += std::max(1, slots / 4)) counts.push_back(slots);
  return counts;
}

}  // namespace

std::int64_t revolve_reach(std::int64_t slots, std::int64_t sweeps) {
  if (slots < 0 || sweeps < 0) return 0;
  constexpr auto kMost = static_cast<double>(std::numeric_limits<std::int64_t>::max()) / 2;
  std::int64_t reach = 1;
  for (std::int64_t i = 1; i <= std::min(slots, sweeps); ++i) {
    const std::int64_t factor = std::max(slots, sweeps) + i;
    if (static_cast<double>(reach) * static_cast<double>(factor) > kMost)
      return std::numeric_limits<std::int64_t>::max() / 2;
    reach = reach * factor / i;
  }
  return reach;
}

std::int64_t revolve_steps(std::int64_t length, std::int64_t slots) {
  std::int64_t sweeps = 0;
  while (revolve_reach(slots, sweeps) < length) ++sweeps;
  return sweeps * length - revolve_reach(slots + 1, sweeps - 1);
}

int revolve_split(int length, int slots) {
  if (slots == 1) return length - 1;
  std::int64_t sweeps = 1;
  while (revolve_reach(slots, sweeps) < length) ++sweeps;
  // The right part has a slot less, the left one a sweep less; both must still be within reach.
  const std::int64_t k =
      std::max(length - revolve_reach(slots - 1, sweeps), revolve_reach(slots, sweeps - 2));
  return static_cast<int>(std::clamp<std::int64_t>(k, 1, length - 1));
}

RevolveTable::RevolveTable(const std::vector<Nanoseconds>& costs, int slots)
    : num_stages_(static_cast<int>(costs.size())), prefix_{0} {
  for (Nanoseconds cost : costs) prefix_.push_back(prefix_.back() + cost);
  costs_.assign(index(0, 1, slots + 1), 0);
  for (int s = 1; s <= slots; ++s)
    for (int length = 2; length <= num_stages_; ++length)
      for (int begin = 0; begin + length <= num_stages_; ++begin)
        costs_[index(begin, length, s)] = with_split(begin, length, s, split(begin, length, s));
}

std::size_t RevolveTable::index(int begin, int length, int slots) const {
  const auto n = static_cast<std::size_t>(num_stages_);
  return (static_cast<std::size_t>(slots - 1) * n + static_cast<std::size_t>(length - 1)) * n +
         static_cast<std::size_t>(begin);
}

Nanoseconds RevolveTable::cost(int begin, int length, int slots) const {
  return length < 2 ? 0 : costs_[index(begin, length, slots)];
}

Nanoseconds RevolveTable::with_split(int begin, int length, int slots, int k) const {
  const int right = std::max(slots - 1, 1);
  return prefix_[begin + k] - prefix_[begin] + cost(begin + k, length - k, right) +
         cost(begin, k, slots);
}

int RevolveTable::split(int begin, int length, int slots) const {
  if (slots == 1) return length - 1;
  int best = 1;
  for (int k = 2; k < length; ++k)
    if (with_split(begin, length, slots, k) < with_split(begin, length, slots, best)) best = k;
  return best;
}

std::vector<Schedule> revolve_schedules(const Problem& problem) {
  const std::vector<Stage> stages = find_stages(problem, kMostStages);
  std::vector<Schedule> schedules;
  const auto by_form = [](int, int length, int slots) { return revolve_split(length, slots); };
  for (int slots : slot_counts(static_cast<int>(stages.size())))
    schedules.push_back(reversal(problem, stages, slots, by_form));
  const std::vector<Stage> few = find_stages(problem, kMostInTable);
  std::vector<Nanoseconds> costs;
  costs.reserve(few.size());
  for (const Stage& stage : few) costs.push_back(stage.forward_ns);
  const RevolveTable table(costs, kMostSlotsInTable);
  const auto by_table = [&](int begin, int length, int slots) {
    return table.split(begin, length, slots);
  };
  for (int slots : slot_counts(static_cast<int>(few.size())))
    if (slots <= kMostSlotsInTable) schedules.push_back(reversal(problem, few, slots, by_table));
  return schedules;
}

}  // namespace tidemark
