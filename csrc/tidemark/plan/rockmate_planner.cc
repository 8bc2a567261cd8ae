#include "tidemark/plan/rockmate_planner.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace tidemark {
namespace {

constexpr int kMostStages = 50;
constexpr std::size_t kMostOptions = 8;  // per stage, besides the whole tape
// Beyond so many ops the ways to drop some of them take too long to compare.
constexpr std::size_t kMostOps = 200;

// One stage, its ops numbered from 0.
class Block {
 public:
  Block(const Problem& problem, const Stage& stage)
      : problem_(problem), graph_(problem.graph()), stage_(stage) {
    for (std::size_t i = 0; i < stage.ops.size(); ++i) number_[stage.ops[i]] = static_cast<int>(i);
    for (EventIndex op : stage.ops) tape_.push_back(tape_of(op));
  }

  // Two blocks are alike if these texts are.
  std::string structure() const {
    std::string text;
    for (std::size_t i = 0; i < stage_.ops.size(); ++i) {
      const EventIndex e = stage_.ops[i];
      const Event& op = graph_.events[e];
      text += op.name + (problem_.is_replayable(e) ? "" : "!");
      for (ValueIndex v : op.outputs) text += ">" + std::to_string(graph_.values[v].bytes);
      for (ValueIndex v : problem_.reads(e)) text += "<" + std::to_string(maker_of(v));
      text += ":" + std::to_string(tape_[i]) + ";";
    }
    return text;
  }

  // What may be dropped, more and more, each as the ops that run again for it.
  std::vector<std::vector<int>> ways() const {
    std::vector<std::vector<int>> ways;
    std::vector<char> is_dropped(stage_.ops.size(), 0);
    std::vector<int> reruns;
    while (const auto next = best_to_drop(is_dropped, cost_of(reruns))) {
      is_dropped[*next] = 1;
      reruns = *reruns_for(is_dropped);
      for (int op : reruns) is_dropped[op] = 1;  // what runs again anyway need not be kept
      ways.push_back(reruns);
    }
    while (ways.size() > kMostOptions) thin_out(ways);
    return ways;
  }

  StageOption option(const std::vector<int>& reruns) const {
    StageOption option{.rerun_ns = cost_of(reruns)};
    for (int op : reruns) {
      option.dropped_bytes += tape_[op];
      option.reruns.push_back(stage_.ops[op]);
    }
    return option;
  }

 private:
  bool has_gap(ValueIndex v) const { return problem_.first_gap(v) < problem_.first_gap(v + 1); }

  // What it makes for backward and for nobody behind this stage.
  Bytes tape_of(EventIndex op) const {
    Bytes bytes = 0;
    for (ValueIndex v : graph_.events[op].outputs)
      if (has_gap(v) && !leaves(v)) bytes += graph_.values[v].bytes;
    return bytes;
  }

  bool leaves(ValueIndex v) const {
    return std::ranges::any_of(problem_.readers(v), [&](EventIndex reader) {
      return reader > stage_.ops.back() && graph_.events[reader].phase != Phase::kBackward;
    });
  }

  // The op of this block, -1 if it is none.
  int maker_of(ValueIndex v) const {
    const auto maker = number_.find(graph_.values[v].producer);
    return maker == number_.end() ? -1 : maker->second;
  }

  Nanoseconds cost_of(const std::vector<int>& ops) const {
    Nanoseconds cost = 0;
    for (int op : ops) cost += graph_.events[stage_.ops[op]].cost_ns;
    return cost;
  }

  // The ops that run again if these ones' tape is dropped, ascending; nothing: one of them cannot.
  std::optional<std::vector<int>> reruns_for(const std::vector<char>& is_dropped) const {
    std::vector<char> runs = is_dropped;
    for (int op = static_cast<int>(runs.size()) - 1; op >= 0; --op) {
      if (!runs[op]) continue;
      if (!problem_.is_replayable(stage_.ops[op])) return std::nullopt;
      for (ValueIndex v : problem_.reads(stage_.ops[op])) {
        const int maker = maker_of(v);
        if (maker >= 0 && (!has_gap(v) || is_dropped[maker]) && !leaves(v)) runs[maker] = 1;
      }
    }
    std::vector<int> ops;
    for (std::size_t op = 0; op < runs.size(); ++op)
      if (runs[op]) ops.push_back(static_cast<int>(op));
    return ops;
  }

  std::optional<int> best_to_drop(std::vector<char> is_dropped, Nanoseconds cost) const {
    std::optional<int> best;
    double most = 0;
    for (std::size_t op = 0; op < tape_.size(); ++op) {
      if (is_dropped[op] || tape_[op] == 0) continue;
      is_dropped[op] = 1;
      if (const auto reruns = reruns_for(is_dropped)) {
        const Nanoseconds more = std::max<Nanoseconds>(1, cost_of(*reruns) - cost);
        const double worth = static_cast<double>(tape_[op]) / static_cast<double>(more);
        if (worth > most) {
          most = worth;
          best = static_cast<int>(op);
        }
      }
      is_dropped[op] = 0;
    }
    return best;
  }

  // Takes away the way that differs least from the one before it. The last one stays.
  void thin_out(std::vector<std::vector<int>>& ways) const {
    std::size_t least = 0;
    Bytes least_bytes = option(ways[0]).dropped_bytes;
    for (std::size_t i = 1; i + 1 < ways.size(); ++i) {
      const Bytes bytes = option(ways[i]).dropped_bytes - option(ways[i - 1]).dropped_bytes;
      if (bytes >= least_bytes) continue;
      least = i;
      least_bytes = bytes;
    }
    ways.erase(ways.begin() + static_cast<std::ptrdiff_t>(least));
  }

  const Problem& problem_;
  const StepGraph& graph_;
  const Stage& stage_;
  std::map<EventIndex, int> number_;
  std::vector<Bytes> tape_;  // per op
};

}  // namespace

StageOptions options_of(const Problem& problem, const std::vector<Stage>& stages) {
  StageOptions result;
  std::map<std::string, std::vector<std::vector<int>>> ways;  // by structure
  for (const Stage& stage : stages) {
    std::vector<StageOption>& options = result.options.emplace_back(1);
    if (stage.ops.size() > kMostOps) continue;
    const Block block(problem, stage);
    const auto [kind, is_new] = ways.try_emplace(block.structure());
    if (is_new) kind->second = block.ways();
    for (const std::vector<int>& reruns : kind->second) options.push_back(block.option(reruns));
  }
  result.num_kinds = static_cast<int>(ways.size());
  return result;
}

std::vector<Schedule> rockmate_schedules(const Problem& problem) {
  const std::vector<Stage> stages = find_stages(problem, kMostStages);
  return schedules_of_chain(problem, stages, options_of(problem, stages).options);
}

}  // namespace tidemark
