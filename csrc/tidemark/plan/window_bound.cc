#include "tidemark/plan/window_bound.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "tidemark/plan/relaxation.h"
#include "tidemark/plan/window_model.h"

namespace tidemark {
namespace {

// Parts that the first moments are spread over, and the most; moments that one round adds.
constexpr int kFirstParts = 4;
constexpr int kMostParts = 8;
constexpr int kMostMore = 3;
// Of each relaxation, and of all together times the entries of their programmes.
constexpr int kIterations = 1200;
constexpr std::int64_t kMostWork = 60'000'000;

}  // namespace

Nanoseconds window_bound(const Problem& problem, Bytes budget, Nanoseconds enough) {
  int parts = kFirstParts;
  std::vector<EventIndex> moments = window_moments(problem, budget, parts);
  std::int64_t work = 0;
  double best = 0;
  while (!moments.empty()) {
    const WindowModel model(problem, budget, moments);
    const Milp& programme = model.programme();
    work += kIterations * static_cast<std::int64_t>(programme.column.size());
    if (work > kMostWork) break;
    const Relaxation relaxation = relax(programme, kIterations);
    best = std::max(best, relaxation.least);
    // More than everything in every window: there is no solution.
    const double most = std::accumulate(programme.cost.begin(), programme.cost.end(), 1.0);
    if (best > 2 * most) return std::numeric_limits<Nanoseconds>::max();
    if (best >= static_cast<double>(enough)) break;
    std::vector<EventIndex> more = model.exceeded(relaxation.solution, kMostMore);
    if (more.empty() && parts < kMostParts) more = window_moments(problem, budget, parts *= 2);
    const std::size_t size = moments.size();
    moments.insert(moments.end(), more.begin(), more.end());
    std::ranges::sort(moments);
    moments.erase(std::ranges::unique(moments).begin(), moments.end());
    if (moments.size() == size) break;
  }
  return static_cast<Nanoseconds>(best);
}

}  // namespace tidemark
