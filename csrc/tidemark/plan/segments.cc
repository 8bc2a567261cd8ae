#include "tidemark/plan/segments.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace tidemark {
namespace {

std::vector<EventIndex> forward_ops_with_gaps(const Problem& problem) {
  const StepGraph& graph = problem.graph();
  EventIndex last = kNone;
  for (const Gap& gap : problem.gaps()) last = std::max(last, graph.values[gap.value].producer);
  std::vector<EventIndex> ops;
  for (EventIndex e = 0; e <= last; ++e)
    if (graph.events[e].kind == EventKind::kOp && graph.events[e].phase != Phase::kBackward)
      ops.push_back(e);
  return ops;
}

class Segmenter {
 public:
  explicit Segmenter(const Problem& problem)
      : problem_(problem), graph_(problem.graph()), ops_(forward_ops_with_gaps(problem)) {}

  Schedule run(int num_segments, SegmentWeight weight);

 private:
  std::vector<Bytes> crossing_bytes() const;
  std::vector<int> borders(int num_segments, SegmentWeight weight) const;
  void assign_segments(const std::vector<int>& borders);
  void choose_dropped(int num_segments);
  ReplayList recompute(int segment, EventIndex at) const;
  bool leaves(ValueIndex v) const;

  const Problem& problem_;
  const StepGraph& graph_;
  std::vector<EventIndex> ops_;
  std::vector<int> segment_of_;                  // per event, -1 outside
  std::vector<std::vector<ValueIndex>> inside_;  // per segment: values with gaps to drop
};

// Per op: bytes made so far that a later forward op reads.
std::vector<Bytes> Segmenter::crossing_bytes() const {
  std::map<EventIndex, int> position;
  for (std::size_t i = 0; i < ops_.size(); ++i) position[ops_[i]] = static_cast<int>(i);
  std::vector<Bytes> bytes(ops_.size() + 1, 0);
  for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
    const auto made = position.find(graph_.values[v].producer);
    if (made == position.end()) continue;
    int last = made->second;
    for (EventIndex reader : problem_.readers(v))
      if (const auto at = position.find(reader); at != position.end())
        last = std::max(last, at->second);
    bytes[made->second] += graph_.values[v].bytes;
    bytes[last] -= graph_.values[v].bytes;
  }
  for (std::size_t i = 1; i < bytes.size(); ++i) bytes[i] += bytes[i - 1];
  return bytes;
}

std::vector<int> Segmenter::borders(int num_segments, SegmentWeight weight) const {
  const std::vector<Bytes> crossing = crossing_bytes();
  std::vector<double> total(ops_.size(), 0);
  double sum = 0;
  for (std::size_t i = 0; i < ops_.size(); ++i) {
    double here = 1;
    if (weight == SegmentWeight::kBytes) {
      here = 0;
      for (ValueIndex v : graph_.events[ops_[i]].outputs)
        if (problem_.first_gap(v) < problem_.first_gap(v + 1))
          here += static_cast<double>(graph_.values[v].bytes);
    }
    total[i] = sum += here;
  }
  std::vector<int> borders;
  const int num_ops = static_cast<int>(ops_.size());
  const int reach = num_ops / (3 * num_segments);
  for (int s = 1; s < num_segments; ++s) {
    const auto ideal = std::ranges::lower_bound(total, sum * s / num_segments);
    const int middle = std::min(static_cast<int>(ideal - total.begin()), num_ops - 1);
    int best = middle;
    for (int i = std::max(0, middle - reach); i <= std::min(num_ops - 1, middle + reach); ++i)
      if (std::pair(crossing[i], std::abs(i - middle)) <
          std::pair(crossing[best], std::abs(best - middle)))
        best = i;
    if (borders.empty() || best > borders.back()) borders.push_back(best);
  }
  return borders;
}

void Segmenter::assign_segments(const std::vector<int>& borders) {
  segment_of_.assign(graph_.num_events(), -1);
  std::size_t segment = 0;
  for (std::size_t i = 0; i < ops_.size(); ++i) {
    segment_of_[ops_[i]] = static_cast<int>(segment);
    if (segment < borders.size() && static_cast<int>(i) == borders[segment]) ++segment;
  }
}

bool Segmenter::leaves(ValueIndex v) const {
  const int segment = segment_of_[graph_.values[v].producer];
  return std::ranges::any_of(problem_.readers(v),
                             [&](EventIndex reader) { return segment_of_[reader] > segment; });
}

void Segmenter::choose_dropped(int num_segments) {
  inside_.assign(num_segments, {});
  ValueIndex last = kNone;
  for (const Gap& gap : problem_.gaps()) {
    const ValueIndex v = gap.value;
    const int segment = segment_of_[graph_.values[v].producer];
    if (v == last || segment < 0 || segment + 1 == num_segments || leaves(v)) continue;
    inside_[segment].push_back(v);
    last = v;
  }
}

ReplayList Segmenter::recompute(int segment, EventIndex at) const {
  std::set<EventIndex> ops;
  std::vector<ValueIndex> missing;
  for (ValueIndex v : inside_[segment]) {
    // A value whose first gap begins later is still held by the program.
    const bool is_wanted = problem_.gaps()[problem_.first_gap(v)].time.begin <= at;
    if (is_wanted && problem_.can_replay_at(v, at)) missing.push_back(v);
  }
  while (!missing.empty()) {
    const EventIndex op = graph_.values[missing.back()].producer;
    missing.pop_back();
    if (!ops.insert(op).second) continue;
    for (ValueIndex v : problem_.reads(op)) {
      const EventIndex producer = graph_.values[v].producer;
      const bool is_inside = producer != kNone && segment_of_[producer] == segment && !leaves(v);
      const bool can_stay = problem_.can_stay_until(v, at);
      if ((is_inside || !can_stay) && problem_.can_replay_at(v, at)) missing.push_back(v);
    }
  }
  return {at, {ops.begin(), ops.end()}};
}

Schedule Segmenter::run(int num_segments, SegmentWeight weight) {
  if (ops_.empty() || num_segments < 2) return {};
  const std::vector<int> cuts = borders(num_segments, weight);
  assign_segments(cuts);
  choose_dropped(static_cast<int>(cuts.size()) + 1);
  std::map<EventIndex, std::set<EventIndex>> lists;
  for (int s = 0; s < static_cast<int>(inside_.size()); ++s) {
    EventIndex first = graph_.num_events();
    for (ValueIndex v : inside_[s])
      first = std::min(first, problem_.gaps()[problem_.first_gap(v)].time.end);
    if (first == graph_.num_events()) continue;
    const ReplayList list = recompute(s, first);
    lists[first].insert(list.ops.begin(), list.ops.end());
  }
  Schedule schedule;
  for (const auto& [event, ops] : lists)
    if (!ops.empty()) schedule.push_back({event, {ops.begin(), ops.end()}});
  prune(problem_, schedule);
  return schedule;
}

}  // namespace

Schedule segment_schedule(const Problem& problem, int num_segments, SegmentWeight weight) {
  return Segmenter(problem).run(num_segments, weight);
}

std::vector<int> segment_counts(const Problem& problem) {
  const double root = std::sqrt(static_cast<double>(forward_ops_with_gaps(problem).size()));
  std::set<int> counts;
  for (double factor : {0.25, 0.4, 0.6, 0.8, 1.0, 1.25, 1.6, 2.0})
    counts.insert(std::max(2, static_cast<int>(std::lround(root * factor))));
  return {counts.begin(), counts.end()};
}

std::vector<Schedule> segment_schedules(const Problem& problem) {
  std::vector<Schedule> schedules;
  for (int count : segment_counts(problem))
    for (SegmentWeight weight : {SegmentWeight::kOps, SegmentWeight::kBytes})
      schedules.push_back(segment_schedule(problem, count, weight));
  return schedules;
}

}  // namespace tidemark
