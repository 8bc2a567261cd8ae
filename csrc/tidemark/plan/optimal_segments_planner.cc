#include "tidemark/plan/optimal_segments_planner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace tidemark {
namespace {

constexpr int kMostStages = 1000;
constexpr int kNumCandidates = 40;  // of c, in geometric steps: more differ by a stage at most
constexpr Bytes kNever = std::numeric_limits<Bytes>::max() / 2;

// What a segment holds while it is there: the tapes of its stages and the states between them.
std::vector<Bytes> prefix_bytes(const std::vector<Stage>& stages) {
  std::vector<Bytes> prefix{0};
  for (const Stage& stage : stages)
    prefix.push_back(prefix.back() + stage.tape_bytes + stage.state_bytes);
  return prefix;
}

}  // namespace

std::vector<int> cheapest_borders(const std::vector<Stage>& stages, Bytes c) {
  const int n = static_cast<int>(stages.size());
  const std::vector<Bytes> prefix = prefix_bytes(stages);
  std::vector<Bytes> kept(n + 1, kNever);
  std::vector<int> previous(n + 1, 0);
  kept[0] = 0;
  for (int end = 1; end <= n; ++end) {
    for (int begin = end - 1; begin >= 0; --begin) {
      const Bytes inside = prefix[end] - prefix[begin] - stages[begin].state_bytes;
      if (inside > c && begin + 1 < end) break;
      const Bytes cost = kept[begin] + stages[begin].state_bytes;
      if (cost >= kept[end]) continue;
      kept[end] = cost;
      previous[end] = begin;
    }
  }
  std::vector<int> borders;
  for (int at = n; n > 0 && previous[at] > 0; at = previous[at]) borders.push_back(previous[at]);
  std::ranges::reverse(borders);
  return borders;
}

std::vector<Schedule> optimal_segment_schedules(const Problem& problem) {
  const std::vector<Stage> stages = find_stages(problem, kMostStages);
  const auto total = static_cast<double>(prefix_bytes(stages).back());
  std::vector<Schedule> schedules;
  std::set<std::vector<int>> seen;
  for (int i = 0; i < kNumCandidates; ++i) {
    const std::vector<int> borders =
        cheapest_borders(stages, static_cast<Bytes>(total / std::pow(1.2, i)));
    if (seen.insert(borders).second)
      schedules.push_back(segmented_schedule(problem, stages, borders));
  }
  return schedules;
}

}  // namespace tidemark
