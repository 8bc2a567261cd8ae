#include "tidemark/plan/rotor_planner.h"

#include <algorithm>

#include "tidemark/plan/stages.h"

namespace tidemark {
namespace {

constexpr int kMostStages = 100;
constexpr int kSlots = 500;
constexpr int kNumPlans = 40;

class Reversal {
 public:
  Reversal(const Problem& problem, const std::vector<Stage>& stages,
           const std::vector<std::vector<StageOption>>& options, const RotorTable& table)
      : run_(problem, stages), options_(options), table_(table) {}

  void run(int i, int j, int slots) {
    const RotorTable::Choice choice = table_.choice(i, j, slots);
    if (choice.k > i) {
      for (int stage = i; stage < choice.k; ++stage) run_.forward(stage);
      run(choice.k, j, slots - table_.stages()[choice.k].state);
      run(i, choice.k - 1, slots);
      return;
    }
    run_.forward(i);
    if (i < j) run(i + 1, j, slots - table_.stages()[i].options[choice.option].kept);
    run_.backward(i, options_[i][choice.option].reruns);
  }

  Schedule schedule() const { return run_.schedule(); }

 private:
  StageRun run_;
  const std::vector<std::vector<StageOption>>& options_;
  const RotorTable& table_;
};

// Rounds up: what is planned fits whatever the rounding did.
int slots_of(Bytes bytes, Bytes slot) { return static_cast<int>((bytes + slot - 1) / slot); }

RotorStage rotor_stage(const Stage& stage, Bytes next_state,
                       const std::vector<StageOption>& options, Bytes slot) {
  RotorStage result{.state = slots_of(stage.state_bytes, slot),
                    .passing_slots = slots_of(stage.forward_bytes, slot),
                    .forward_ns = stage.forward_ns,
                    .options = {}};
  for (const StageOption& option : options) {
    const Bytes tape = std::max<Bytes>(stage.tape_bytes - option.dropped_bytes, 0);
    result.options.push_back(
        {.kept = slots_of(tape + next_state, slot),
         .forward_slots = result.passing_slots,
         .backward_slots = slots_of(stage.backward_bytes + option.dropped_bytes, slot),
         .time_ns = stage.forward_ns + stage.backward_ns + option.rerun_ns});
  }
  return result;
}

std::vector<RotorStage> rotor_stages(const std::vector<Stage>& stages,
                                     const std::vector<std::vector<StageOption>>& options,
                                     Bytes slot) {
  std::vector<RotorStage> result;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const Bytes next_state = i + 1 < stages.size() ? stages[i + 1].state_bytes : 0;
    result.push_back(rotor_stage(stages[i], next_state, options[i], slot));
  }
  return result;
}

}  // namespace

RotorTable::RotorTable(std::vector<RotorStage> stages, int slots)
    : stages_(std::move(stages)), slots_(slots), prefix_ns_{0} {
  for (const RotorStage& stage : stages_)
    prefix_ns_.push_back(prefix_ns_.back() + stage.forward_ns);
  times_.assign(row(size(), 0), kImpossible);
  for (int length = 1; length <= size(); ++length)
    for (int i = 0; i + length <= size(); ++i) fill(i, i + length - 1);
}

std::size_t RotorTable::row(int i, int j) const {
  return (static_cast<std::size_t>(i) * stages_.size() + static_cast<std::size_t>(j)) *
         static_cast<std::size_t>(slots_ + 1);
}

Nanoseconds RotorTable::time(int i, int j, int slots) const {
  if (slots < 0 || stages_.empty()) return kImpossible;
  return times_[row(i, j) + static_cast<std::size_t>(std::min(slots, slots_))];
}

// A forward from i on that keeps nothing until the state that j's backward needs.
int RotorTable::passing_slots(int i, int j) const {
  int most = 0;
  for (int k = i; k < j; ++k) most = std::max(most, stages_[k].passing_slots);
  return most;
}

void RotorTable::fill(int i, int j) {
  Nanoseconds* const out = times_.data() + row(i, j);
  const int passing = i < j ? passing_slots(i, j) : 0;
  for (std::size_t o = 0; o < stages_[i].options.size(); ++o) {
    const RotorOption& option = stages_[i].options[o];
    const int needed = std::max(option.backward_slots + option.kept, option.forward_slots);
    for (int m = needed; m <= slots_; ++m) {
      const Nanoseconds rest = i == j ? 0 : time(i + 1, j, m - option.kept);
      if (rest != kImpossible) out[m] = std::min(out[m], option.time_ns + rest);
    }
  }
  for (int k = i + 1; k <= j; ++k) {
    const int state = stages_[k].state;
    const Nanoseconds run = prefix_ns_[k] - prefix_ns_[i];
    const Nanoseconds* const right = times_.data() + row(k, j);
    const Nanoseconds* const left = times_.data() + row(i, k - 1);
    // Twice impossible does not overflow, and is cut off below.
    for (int m = std::max(state, passing); m <= slots_; ++m)
      out[m] = std::min(out[m], run + right[m - state] + left[m]);
  }
  for (int m = 0; m <= slots_; ++m) out[m] = std::min(out[m], kImpossible);
}

RotorTable::Choice RotorTable::choice(int i, int j, int slots) const {
  const Nanoseconds best = time(i, j, slots);
  slots = std::min(slots, slots_);
  for (int k = i + 1; k <= j; ++k) {
    const Nanoseconds right = time(k, j, slots - stages_[k].state);
    const Nanoseconds left = time(i, k - 1, slots);
    if (slots < passing_slots(i, j) || right == kImpossible || left == kImpossible) continue;
    if (prefix_ns_[k] - prefix_ns_[i] + right + left == best) return {k, 0};
  }
  for (std::size_t o = 0; o < stages_[i].options.size(); ++o) {
    const RotorOption& option = stages_[i].options[o];
    if (slots < std::max(option.backward_slots + option.kept, option.forward_slots)) continue;
    const Nanoseconds rest = i == j ? 0 : time(i + 1, j, slots - option.kept);
    if (rest != kImpossible && option.time_ns + rest == best) return {i, static_cast<int>(o)};
  }
  return {i, 0};
}

std::vector<Schedule> schedules_of_chain(const Problem& problem, const std::vector<Stage>& stages,
                                         const std::vector<std::vector<StageOption>>& options) {
  if (stages.empty()) return {};
  Bytes always = problem.dropped().front().before;
  for (const Reading& reading : problem.dropped()) always = std::min(always, reading.before);
  const Bytes slot = std::max<Bytes>(1, (problem.unplanned().peak_bytes - always) / kSlots);
  // Rounding may cost every stage a slot or two that it does not take.
  const int most_slots = kSlots + 2 * static_cast<int>(stages.size());
  const RotorTable table(rotor_stages(stages, options, slot), most_slots);
  std::vector<Schedule> schedules;
  for (int i = 0; i < kNumPlans; ++i) {
    const int slots = most_slots * (i + 1) / kNumPlans;
    if (table.time(slots) == RotorTable::kImpossible) continue;
    Reversal reversal(problem, stages, options, table);
    reversal.run(0, table.size() - 1, slots);
    Schedule schedule = reversal.schedule();
    if (schedules.empty() || schedules.back() != schedule) schedules.push_back(std::move(schedule));
  }
  return schedules;
}

std::vector<Schedule> rotor_schedules(const Problem& problem) {
  const std::vector<Stage> stages = find_stages(problem, kMostStages);
  return schedules_of_chain(problem, stages,
                            std::vector(stages.size(), std::vector<StageOption>(1)));
}

}  // namespace tidemark
