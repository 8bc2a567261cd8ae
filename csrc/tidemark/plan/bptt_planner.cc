#include "tidemark/plan/bptt_planner.h"

#include <algorithm>
#include <cmath>

namespace tidemark {
namespace {

constexpr int kMostStages = 200;
constexpr int kMostUnits = 400;
constexpr int kNumPlans = 24;

class Reversal {
 public:
  Reversal(const Problem& problem, const std::vector<Stage>& stages, const BpttTable& table)
      : run_(problem, stages), table_(table) {}

  void run(int begin, int steps, int units) {
    if (steps == 0) return;
    const BpttTable::Choice choice = table_.choice(steps, units);
    for (int stage = begin; stage < begin + choice.y; ++stage) run_.forward(stage);
    if (choice.is_internal) {
      // The last of them keeps its tape.
      run(begin + choice.y, steps - choice.y, units - table_.alpha());
      run_.backward(begin + choice.y - 1);
      run(begin, choice.y - 1, units);
    } else if (choice.y == steps) {
      run_.backward(begin + steps - 1);
      run(begin, steps - 1, units);
    } else {
      run(begin + choice.y, steps - choice.y, units - 1);
      run(begin, choice.y, units);
    }
  }

  Schedule schedule() const { return run_.schedule(); }

 private:
  StageRun run_;
  const BpttTable& table_;
};

// The mean tape of a stage in mean states.
int mean_alpha(const std::vector<Stage>& stages) {
  double states = 0;
  double tapes = 0;
  for (const Stage& stage : stages) {
    states += static_cast<double>(stage.state_bytes);
    tapes += static_cast<double>(stage.tape_bytes + stage.state_bytes);
  }
  return states == 0 ? 1 : std::clamp(static_cast<int>(std::lround(tapes / states)), 1, 20);
}

}  // namespace

BpttTable::BpttTable(int steps, int units, const BpttRules& rules) : rules_(rules), units_(units) {
  costs_.assign(static_cast<std::size_t>(steps + 1) * static_cast<std::size_t>(units + 1),
                kImpossible);
  choices_.resize(costs_.size());
  const auto at = [this](int t, int m) {
    return static_cast<std::size_t>(t) * static_cast<std::size_t>(units_ + 1) +
           static_cast<std::size_t>(m);
  };
  for (int m = 0; m <= units; ++m) costs_[at(0, m)] = 0;
  for (int t = 1; t <= steps; ++t) {
    for (int m = 1; m <= units; ++m) {
      std::int64_t best = kImpossible;
      Choice choice;
      const auto offer = [&](std::int64_t cost, int y, bool is_internal) {
        if (cost >= best) return;
        best = cost;
        choice = {y, is_internal};
      };
      // From the one state at hand to the last step, whose tape is then there.
      if (rules.stores_hidden) offer(std::int64_t{t} * (t + 1) / 2, t, false);
      for (int y = 1; y < t && rules.stores_hidden && m > 1; ++y)
        offer(y + costs_[at(t - y, m - 1)] + costs_[at(y, m)], y, false);
      for (int y = 1; y <= t && rules.stores_internal && m >= rules.alpha; ++y)
        offer(y + costs_[at(t - y, m - rules.alpha)] + costs_[at(y - 1, m)], y, true);
      costs_[at(t, m)] = best;
      choices_[at(t, m)] = choice;
    }
  }
}

std::int64_t BpttTable::cost(int steps, int units) const {
  return costs_[static_cast<std::size_t>(steps) * static_cast<std::size_t>(units_ + 1) +
                static_cast<std::size_t>(units)];
}

BpttTable::Choice BpttTable::choice(int steps, int units) const {
  return choices_[static_cast<std::size_t>(steps) * static_cast<std::size_t>(units_ + 1) +
                  static_cast<std::size_t>(units)];
}

Schedule bptt_schedule(const Problem& problem, const std::vector<Stage>& stages,
                       const BpttTable& table, int units) {
  Reversal reversal(problem, stages, table);
  reversal.run(0, static_cast<int>(stages.size()), units);
  return reversal.schedule();
}

std::vector<Schedule> bptt_schedules(const Problem& problem) {
  const std::vector<Stage> stages = find_stages(problem, kMostStages);
  if (stages.empty()) return {};
  const int steps = static_cast<int>(stages.size());
  const int alpha = mean_alpha(stages);
  const int most = std::min(kMostUnits, steps * alpha);
  const BpttTable table(steps, most, msm(alpha));
  std::vector<Schedule> schedules;
  int last = 0;
  for (int i = 0; i < kNumPlans; ++i) {
    const int units = static_cast<int>(std::lround(std::pow(most, (i + 1.0) / kNumPlans)));
    if (units == last) continue;
    last = units;
    schedules.push_back(bptt_schedule(problem, stages, table, units));
  }
  return schedules;
}

}  // namespace tidemark
