#include "tidemark/plan/stages.h"

#include <algorithm>
#include <map>
#include <ranges>
#include <set>
#include <utility>

namespace tidemark {
namespace {

constexpr int kReach = 3;  // ops to both sides within which a border must be the thinnest place

class StageFinder {
 public:
  explicit StageFinder(const Problem& problem) : problem_(problem), graph_(problem.graph()) {
    find_ops();
    find_crossings();
  }

  std::vector<Stage> run(int most_stages) {
    std::vector<Stage> stages;
    const std::vector<int> borders = thin_places(most_stages);
    int begin = 0;
    for (int border : borders) {
      stages.push_back(make_stage(begin, border));
      begin = border;
    }
    if (begin < static_cast<int>(ops_.size()))
      stages.push_back(make_stage(begin, static_cast<int>(ops_.size())));
    measure_backward(stages);
    return stages;
  }

 private:
  bool has_gap(ValueIndex v) const { return problem_.first_gap(v) < problem_.first_gap(v + 1); }

  void find_ops() {
    EventIndex last = kNone;
    for (const Gap& gap : problem_.gaps()) last = std::max(last, graph_.values[gap.value].producer);
    position_.assign(graph_.num_events(), -1);
    for (EventIndex e = 0; e <= last; ++e) {
      const Event& op = graph_.events[e];
      if (op.kind != EventKind::kOp || op.phase == Phase::kBackward) continue;
      position_[e] = static_cast<int>(ops_.size());
      ops_.push_back(e);
    }
  }

  // Per place before an op: bytes that cross it, and whether all of them can be kept there.
  void find_crossings() {
    crossing_.assign(ops_.size() + 1, 0);
    num_crossing_.assign(ops_.size() + 1, 0);
    std::vector<int> num_overwritten(ops_.size() + 1, 0);
    last_reader_.assign(graph_.values.size(), -1);
    last_read_by_.resize(ops_.size());
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
      const Value& value = graph_.values[v];
      if (value.producer == kNone || position_[value.producer] < 0) continue;
      if (value.category == Category::kBuffer) continue;
      const int made = position_[value.producer];
      int last = made;
      for (EventIndex reader : problem_.readers(v)) last = std::max(last, position_[reader]);
      last_reader_[v] = last;
      last_read_by_[last].push_back(v);
      crossing_[made + 1] += value.bytes;
      crossing_[last + 1] -= value.bytes;
      ++num_crossing_[made + 1];
      --num_crossing_[last + 1];
      if (value.overwritten_at == kNone) continue;
      ++num_overwritten[made + 1];
      --num_overwritten[last + 1];
    }
    is_possible_.assign(ops_.size() + 1, 0);
    int overwritten = 0;
    for (std::size_t i = 1; i <= ops_.size(); ++i) {
      crossing_[i] += crossing_[i - 1];
      num_crossing_[i] += num_crossing_[i - 1];
      overwritten += num_overwritten[i];
      is_possible_[i] = overwritten == 0;
    }
  }

  bool is_thin(int place) const {
    if (!is_possible_[place]) return false;
    if (num_crossing_[place] <= 1) return true;  // an articulation point
    const int end = std::min(place + kReach, static_cast<int>(ops_.size()) - 1);
    for (int i = std::max(1, place - kReach); i <= end; ++i)
      if (is_possible_[i] && crossing_[i] < crossing_[place]) return false;
    return true;
  }

  Bytes tape_of_op(int op) const {
    Bytes bytes = 0;
    for (ValueIndex v : graph_.events[ops_[op]].outputs)
      if (has_gap(v)) bytes += graph_.values[v].bytes;
    return bytes;
  }

  // The thin places; where there are too many, those that make tapes of about the same size.
  std::vector<int> thin_places(int most_stages) const {
    Bytes total = 0;
    for (std::size_t i = 0; i < ops_.size(); ++i) total += tape_of_op(static_cast<int>(i));
    std::vector<int> thin;
    for (int i = 1; i < static_cast<int>(ops_.size()); ++i)
      if (is_thin(i)) thin.push_back(i);
    if (static_cast<int>(thin.size()) < most_stages) return thin;
    std::vector<int> chosen;
    Bytes passed = 0;
    std::size_t next = 0;
    for (int i = 1; i < static_cast<int>(ops_.size()) && next < thin.size(); ++i) {
      passed += tape_of_op(i - 1);
      if (thin[next] != i) continue;
      ++next;
      const auto due = static_cast<double>(total) * static_cast<double>(chosen.size() + 1) /
                       static_cast<double>(most_stages);
      if (static_cast<double>(passed) >= due) chosen.push_back(i);
    }
    return chosen;
  }

  // Backward of a stage begins when its tape is wanted, or what it alone still reads.
  void want(Stage& stage, ValueIndex v) const {
    const EventIndex at = problem_.gaps()[problem_.first_gap(v)].time.end;
    if (stage.backward_event == kNone || at < stage.backward_event) stage.backward_event = at;
  }

  Stage make_stage(int begin, int end) const {
    Stage stage{.state_bytes = crossing_[begin]};
    for (int i = begin; i < end; ++i) {
      const Event& op = graph_.events[ops_[i]];
      stage.ops.push_back(ops_[i]);
      stage.forward_ns += op.cost_ns;
      Bytes made = op.workspace_bytes;
      for (ValueIndex v : op.outputs) {
        made += graph_.values[v].bytes;
        if (has_gap(v) && last_reader_[v] < end) stage.tape_bytes += graph_.values[v].bytes;
      }
      stage.forward_bytes = std::max(stage.forward_bytes, made);
      for (ValueIndex v : last_read_by_[i])
        if (has_gap(v)) want(stage, v);
    }
    return stage;
  }

  void measure_backward(std::vector<Stage>& stages) const {
    if (stages.empty()) return;
    Bytes always = problem_.dropped().front().before;
    for (const Reading& reading : problem_.dropped()) always = std::min(always, reading.before);
    EventIndex end = graph_.num_events();
    for (Stage& stage : stages) {
      if (stage.backward_event == kNone) continue;
      for (EventIndex e = stage.backward_event; e < end; ++e) {
        stage.backward_bytes = std::max(stage.backward_bytes, problem_.dropped()[e].peak - always);
        if (graph_.events[e].phase == Phase::kBackward)
          stage.backward_ns += graph_.events[e].cost_ns;
      }
      end = std::min(end, stage.backward_event);
    }
  }

  const Problem& problem_;
  const StepGraph& graph_;
  std::vector<EventIndex> ops_;
  std::vector<int> position_;                          // per event in ops_, -1 outside
  std::vector<int> last_reader_;                       // per value, in ops_
  std::vector<std::vector<ValueIndex>> last_read_by_;  // per op in ops_; or made there, never read
  std::vector<Bytes> crossing_;                        // per place before an op
  std::vector<int> num_crossing_;                      // values
  std::vector<char> is_possible_;
};

}  // namespace

std::vector<Stage> find_stages(const Problem& problem, int most_stages) {
  return StageFinder(problem).run(most_stages);
}

void StageRun::backward(int stage, std::vector<EventIndex> reruns) {
  if (has_turned_) reruns_[stage] = pending_;
  single_[stage] = std::move(reruns);
  has_turned_ = true;
  pending_.clear();
}

std::vector<EventIndex> StageRun::ops_of(const std::vector<int>& run,
                                         const std::vector<EventIndex>& single,
                                         EventIndex at) const {
  const StepGraph& graph = problem_.graph();
  std::set<EventIndex> ops;
  std::vector<ValueIndex> wanted;
  const auto add = [&](EventIndex op) {
    if (!problem_.is_replayable(op) || !ops.insert(op).second) return;
    for (ValueIndex v : problem_.reads(op)) wanted.push_back(v);
  };
  for (int stage : run)
    for (EventIndex op : stages_[stage].ops) add(op);
  for (EventIndex op : single) add(op);
  // What cannot wait for the replay is made again with it.
  while (!wanted.empty()) {
    const ValueIndex v = wanted.back();
    wanted.pop_back();
    if (!problem_.can_stay_until(v, at) && graph.values[v].producer != kNone)
      add(graph.values[v].producer);
  }
  return {ops.begin(), ops.end()};
}

Schedule StageRun::schedule() const {
  std::map<EventIndex, std::set<EventIndex>> lists;
  // A stage without a tape has no backward event: what it was to run is due before the next one.
  std::vector<int> due;
  for (int stage = static_cast<int>(stages_.size()) - 1; stage >= 0; --stage) {
    due.insert(due.end(), reruns_[stage].begin(), reruns_[stage].end());
    const EventIndex at = stages_[stage].backward_event;
    if (at == kNone || (due.empty() && single_[stage].empty())) continue;
    const std::vector<EventIndex> ops = ops_of(due, single_[stage], at);
    lists[at].insert(ops.begin(), ops.end());
    due.clear();
  }
  Schedule schedule;
  for (const auto& [event, ops] : lists)
    if (!ops.empty()) schedule.push_back({event, {ops.begin(), ops.end()}});
  prune(problem_, schedule);
  return schedule;
}

Schedule segmented_schedule(const Problem& problem, const std::vector<Stage>& stages,
                            const std::vector<int>& borders) {
  StageRun run(problem, stages);
  int end = static_cast<int>(stages.size());
  std::vector<int> begins{0};
  begins.insert(begins.end(), borders.begin(), borders.end());
  for (int begin : std::views::reverse(begins)) {
    for (int stage = begin; stage < end; ++stage) run.forward(stage);
    while (end > begin) run.backward(--end);
  }
  return run.schedule();
}

}  // namespace tidemark
