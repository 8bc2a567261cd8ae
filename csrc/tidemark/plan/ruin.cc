#include "tidemark/plan/ruin.h"

#include <algorithm>
#include <cmath>

namespace tidemark {
namespace {

// Of ten rounds so many remove neighbours, so many a run; the others cut a stretch.
constexpr int kRoundsOfNeighbours = 2;
constexpr int kRoundsOfRuns = 2;
constexpr int kMostNeighbours = 4;
constexpr int kLongestRun = 40;
// Stretches looked at before one is cut, whether or not it lies where memory is full.
constexpr int kLooks = 10;
// A mended schedule may be so much dearer before it is cleaned up; more where it cost a cut.
constexpr double kSlack = 1.02;
constexpr double kSlackOfCut = 1.05;
// Candidates for a cut that mending leaves out: other ones each time, and less to look at.
constexpr double kLeftOut = 0.5;

}  // namespace

Ruin::Ruin(Residency& residency)
    : residency_(residency), graph_(residency.problem().graph()), repair_(residency) {}

void Ruin::collect() {
  reruns_.clear();
  for (EventIndex at = 0; at < graph_.num_events(); ++at)
    for (EventIndex op : residency_.list(at)) reruns_.push_back({at, op});
}

void Ruin::remove(Rerun rerun, bool is_forbidden) {
  if (!residency_.is_listed(rerun.at, rerun.op) || !residency_.remove(rerun)) return;
  if (!is_forbidden) return;
  for (ValueIndex v : residency_.problem().restores(rerun.op)) {
    repair_.forbid(v, true);
    forbidden_.push_back(v);
  }
}

void Ruin::remove_neighbours() {
  const int count = 1 + below(kMostNeighbours);
  const int size = static_cast<int>(reruns_.size());
  const int middle = below(size);
  for (int i = 0; i < count; ++i)
    remove(reruns_[std::clamp(middle + below(4 * count + 1) - 2 * count, 0, size - 1)], true);
}

void Ruin::remove_a_run() {
  const int size = static_cast<int>(reruns_.size());
  const int begin = below(size);
  const int end = std::min(size, begin + 1 + below(kLongestRun));
  for (int i = begin; i < end; ++i)
    if (below(10) < 7) remove(reruns_[i], below(10) < 2);
}

// Returns a gap whose value lies in memory where there would be no room for it twice, if chance
// shows one: letting go of others buys nothing.
const Gap& Ruin::full_gap(Bytes budget) {
  const auto& gaps = residency_.problem().gaps();
  const Gap* gap = nullptr;
  for (int i = 0; i < kLooks; ++i) {
    gap = &gaps[below(static_cast<int>(gaps.size()))];
    const Stretch points{2 * gap->time.begin + 1, 2 * gap->time.end};
    const Bytes most = residency_.tree().most_in(points.begin, points.end);
    if (residency_.covers(gap->value, points.begin) &&
        most + graph_.values[gap->value].bytes > budget)
      break;
  }
  return *gap;
}

void Ruin::cut_a_stretch(Bytes budget) {
  const Gap& gap = full_gap(budget);
  const int length = gap.time.end - gap.time.begin;
  const int point = 2 * (gap.time.begin + below(length)) + 1;
  if (!repair_.cut(gap.value, point, budget)) return;
  repair_.forbid(gap.value, true);
  forbidden_.push_back(gap.value);
}

// Replays listed at the events that this round has changed.
void Ruin::clean_up_nearby(const RuinOptions& options, std::size_t mark) {
  const auto [first, past] = residency_.changed_since(mark);
  std::vector<Rerun> near;
  for (EventIndex at = first; at < past; ++at)
    for (EventIndex op : residency_.list(at)) near.push_back({at, op});
  repair_.clean_up(options.budget, options.enough_ns, std::move(near),
                   last_work_ - residency_.work());
}

void Ruin::round(const RuinOptions& options, double tolerance) {
  const std::size_t mark = residency_.log_size();
  const auto before = static_cast<double>(residency_.cost_ns());
  const int kind = below(10);
  const bool is_cut = kind >= kRoundsOfNeighbours + kRoundsOfRuns;
  if (is_cut)
    cut_a_stretch(options.budget);
  else if (kind < kRoundsOfNeighbours)
    remove_neighbours();
  else
    remove_a_run();
  const double slack = is_cut ? kSlackOfCut : kSlack;
  const bool fits = repair_.fit({.budget = options.budget,
                                 .most_cost_ns = static_cast<Nanoseconds>(before * slack) + 1,
                                 .most_work = last_work_ - residency_.work(),
                                 .noise = below(2) == 0 ? 0.3 : 1.0,
                                 .left_out = kLeftOut,
                                 .seed = static_cast<std::uint32_t>(random_())});
  if (fits) clean_up_nearby(options, mark);
  for (ValueIndex v : forbidden_) repair_.forbid(v, false);
  forbidden_.clear();
  const bool is_good = residency_.cost_ns() >= options.enough_ns &&
                       static_cast<double>(residency_.cost_ns()) <= before * (1 + tolerance);
  if (fits && is_good) {
    if (residency_.log_size() > mark) collect();
  } else {
    residency_.undo_to(mark);
  }
}

void Ruin::run(const RuinOptions& options) {
  if (residency_.num_replays() == 0 || residency_.problem().gaps().empty()) return;
  random_.seed(options.seed);
  collect();
  last_work_ = residency_.work() + options.work;
  Nanoseconds best_cost = residency_.cost_ns();
  residency_.clear_log();
  while (best_cost > options.enough_ns) {
    const double left =
        static_cast<double>(last_work_ - residency_.work()) / static_cast<double>(options.work);
    if (left <= 0 || reruns_.empty()) break;
    if (options.stop && options.stop()) break;
    round(options, options.tolerance * left);
    if (residency_.cost_ns() > best_cost) continue;
    best_cost = residency_.cost_ns();
    // The log leads back to the best.
    residency_.clear_log();
  }
  residency_.undo_to(0);
}

}  // namespace tidemark
