#include "tidemark/plan/chen_planner.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace tidemark {
namespace {

constexpr int kMostStages = 4000;
constexpr int kNumRounds = 3;
constexpr int kGrid = 6;       // thresholds around the guess, as in memonger
constexpr int kWideGrid = 20;  // and over the whole range, for other budgets than the least
constexpr int kMostPerLevel = 3;

// What Algorithm 3 calls x and y.
struct Outcome {
  Bytes kept = 0;             // x
  Bytes largest_segment = 0;  // y
};

Outcome outcome_of(const std::vector<Stage>& stages, const std::vector<int>& borders) {
  Outcome outcome;
  std::size_t next = 0;
  Bytes segment = 0;
  for (int i = 0; i < static_cast<int>(stages.size()); ++i) {
    if (next < borders.size() && borders[next] == i) {
      outcome.kept += stages[i].state_bytes;
      segment = 0;
      ++next;
    }
    segment += stages[i].tape_bytes + stages[i].state_bytes;
    outcome.largest_segment = std::max(outcome.largest_segment, segment);
  }
  return outcome;
}

Bytes total_bytes(const std::vector<Stage>& stages) {
  Bytes total = 0;
  for (const Stage& stage : stages) total += stage.tape_bytes + stage.state_bytes;
  return total;
}

std::vector<Bytes> thresholds(const std::vector<Stage>& stages) {
  std::vector<Bytes> found{0};
  double guess = 0;
  for (int round = 0; round < kNumRounds; ++round) {
    const Outcome outcome = outcome_of(stages, chen_borders(stages, found.back()));
    guess =
        std::sqrt(static_cast<double>(outcome.kept) * static_cast<double>(outcome.largest_segment));
    found.push_back(static_cast<Bytes>(guess));
  }
  const double root = std::sqrt(2.0);
  for (int i = 0; i < kGrid; ++i)
    found.push_back(static_cast<Bytes>(guess / root * std::pow(2.0, i / (kGrid - 1.0))));
  const auto total = static_cast<double>(total_bytes(stages));
  for (int i = 0; i < kWideGrid; ++i)
    found.push_back(static_cast<Bytes>(total / std::pow(1.4, i + 1)));
  return found;
}

class Recursion {
 public:
  Recursion(const Problem& problem, const std::vector<Stage>& stages, int k)
      : run_(problem, stages), k_(k) {}

  void run(int begin, int end) {
    if (end - begin == 1) {
      run_.forward(begin);
      run_.backward(begin);
      return;
    }
    // Segment by segment, the last first; the states before them are made on the way.
    const int num_parts = std::min(k_ + 1, end - begin);
    std::vector<int> borders;
    for (int part = 0; part <= num_parts; ++part)
      borders.push_back(begin + (end - begin) * part / num_parts);
    for (int stage = begin; stage < borders[num_parts - 1]; ++stage) run_.forward(stage);
    for (int part = num_parts - 1; part >= 0; --part) run(borders[part], borders[part + 1]);
  }

  Schedule schedule() const { return run_.schedule(); }

 private:
  StageRun run_;
  int k_;
};

}  // namespace

std::vector<int> chen_borders(const std::vector<Stage>& stages, Bytes b) {
  std::vector<int> borders;
  Bytes temp = 0;
  for (int i = 1; i < static_cast<int>(stages.size()); ++i) {
    temp += stages[i - 1].tape_bytes + stages[i].state_bytes;
    if (temp <= b) continue;
    borders.push_back(i);
    temp = 0;
  }
  return borders;
}

Schedule chen_recursion(const Problem& problem, const std::vector<Stage>& stages, int k) {
  Recursion recursion(problem, stages, k);
  if (!stages.empty()) recursion.run(0, static_cast<int>(stages.size()));
  return recursion.schedule();
}

std::vector<Schedule> chen_schedules(const Problem& problem) {
  const std::vector<Stage> stages = find_stages(problem, kMostStages);
  std::vector<Schedule> schedules;
  std::set<std::vector<int>> seen;
  for (Bytes b : thresholds(stages)) {
    const std::vector<int> borders = chen_borders(stages, b);
    if (seen.insert(borders).second)
      schedules.push_back(segmented_schedule(problem, stages, borders));
  }
  for (int k = 1; k <= kMostPerLevel; ++k) schedules.push_back(chen_recursion(problem, stages, k));
  return schedules;
}

}  // namespace tidemark
