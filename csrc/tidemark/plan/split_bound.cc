#include "tidemark/plan/split_bound.h"

#include <cstdint>
#include <queue>
#include <vector>

#include "tidemark/plan/floor.h"
#include "tidemark/plan/keep_cut.h"

namespace tidemark {
namespace {

// Values and ops that the cuts of all windows choose among, together.
constexpr std::int64_t kMostWork = 300'000;

// From one moment to another: places in the list of events that a moment may lie in.
struct Window {
  int begin = 0;
  int end = 0;
  Nanoseconds bound = 0;  // of the cut at `begin`
};

class Splitting {
 public:
  Splitting(const Problem& problem, Bytes budget)
      : problem_(problem), budget_(budget), held_(pinned_curve(problem)) {
    const StepGraph& graph = problem.graph();
    for (EventIndex e = 0; e < graph.num_events(); ++e)
      if (graph.events[e].kind != EventKind::kUnpack && problem.unplanned().curve[e].peak > budget)
        events_.push_back(e);
  }

  Nanoseconds run(Nanoseconds enough) {
    const auto is_below = [](const Window& a, const Window& b) { return a.bound < b.bound; };
    std::priority_queue<Window, std::vector<Window>, decltype(is_below)> open(is_below);
    open.push(look_at(0, static_cast<int>(events_.size())));
    Nanoseconds sum = open.top().bound;
    while (!open.empty() && sum < enough && work_ < kMostWork) {
      const Window whole = open.top();
      open.pop();
      for (const double share : {0.5, 0.25, 0.75}) {
        const int middle = fullest_near(whole, share);
        if (middle <= whole.begin) continue;
        const Window early = look_at(whole.begin, middle);
        const Window late = look_at(middle, whole.end);
        if (early.bound + late.bound <= whole.bound) continue;
        sum += early.bound + late.bound - whole.bound;
        open.push(early);
        open.push(late);
        break;
      }
    }
    return sum;
  }

 private:
  Window look_at(int begin, int end) {
    Window window{.begin = begin, .end = end};
    if (begin == end) return window;
    const bool is_last = end == static_cast<int>(events_.size());
    KeepCut cut(problem_, events_[begin], {}, is_last ? KeepCut::kEver : events_[end]);
    cut.within(budget_ - held_[events_[begin]].peak, window.bound);
    work_ += static_cast<std::int64_t>(cut.size()) + 1;
    return window;
  }

  // Returns the place with least room in the quarter of the window around `share` of it.
  int fullest_near(const Window& window, double share) const {
    const auto place = [&](double at) {
      return window.begin + static_cast<int>(at * (window.end - window.begin));
    };
    int best = place(share - 0.125);
    for (int i = best; i < place(share + 0.125); ++i)
      if (held_[events_[i]].peak > held_[events_[best]].peak) best = i;
    return best;
  }

  const Problem& problem_;
  Bytes budget_;
  std::vector<Reading> held_;  // by the program itself
  std::vector<EventIndex> events_;
  std::int64_t work_ = 0;
};

}  // namespace

Nanoseconds split_bound(const Problem& problem, Bytes budget, Nanoseconds enough) {
  return Splitting(problem, budget).run(enough);
}

}  // namespace tidemark
