#include "tidemark/plan/recompute_cut.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

#include "tidemark/plan/max_flow.h"

namespace tidemark {
namespace {

constexpr std::array<std::string_view, 14> kComputeIntensive{
    "aten::mm",       "aten::bmm",        "aten::addmm",
    "aten::addmv",    "aten::baddbmm",    "aten::convolution",
    "aten::upsample", "aten::_scaled_mm", "aten::_scaled_dot_product",
    "aten::mkldnn_",  "aten::lstm",       "aten::_thnn_fused_lstm_cell",
    "aten::_flash",   "aten::_efficient",
};

// The cut's network: value -> its op with the bytes of the value, op -> what it reads for ever.
// What backward wants hangs on the source, ops that may not run again on the sink.
class Network {
 public:
  Network(const Problem& problem, const std::vector<char>& may_run)
      : problem_(problem), graph_(problem.graph()), may_run_(may_run), flow_(2) {
    number_nodes();
    MaxFlow flow(num_nodes_);
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) add_value(flow, v);
    for (EventIndex e = 0; e < graph_.num_events(); ++e) add_op(flow, e);
    flow.run(kSource, kSink);
    flow_ = std::move(flow);
  }

  // A value that is made again: it is on the source's side and so is the op that makes it.
  bool is_recomputed(ValueIndex v) const {
    const EventIndex producer = graph_.values[v].producer;
    return flow_.is_on_source_side(op_node(producer));
  }

 private:
  static constexpr int kSource = 0;
  static constexpr int kSink = 1;

  void number_nodes() { num_nodes_ = 2 + graph_.num_values() + graph_.num_events(); }
  int value_node(ValueIndex v) const { return 2 + v; }
  int op_node(EventIndex e) const { return 2 + graph_.num_values() + e; }

  void add_value(MaxFlow& flow, ValueIndex v) const {
    const Value& value = graph_.values[v];
    if (value.producer == kNone) return;
    if (problem_.first_gap(v) < problem_.first_gap(v + 1))
      flow.add_edge(kSource, value_node(v), MaxFlow::kInfinite);
    flow.add_edge(value_node(v), op_node(value.producer), std::max<Bytes>(value.bytes, 1));
  }

  void add_op(MaxFlow& flow, EventIndex e) const {
    if (graph_.events[e].outputs.empty() || graph_.events[e].phase == Phase::kBackward) return;
    if (!may_run_[e] || !problem_.is_replayable(e)) {
      flow.add_edge(op_node(e), kSink, MaxFlow::kInfinite);
      return;
    }
    for (ValueIndex v : problem_.reads(e))
      if (graph_.values[v].producer != kNone)
        flow.add_edge(op_node(e), value_node(v), MaxFlow::kInfinite);
  }

  const Problem& problem_;
  const StepGraph& graph_;
  const std::vector<char>& may_run_;
  int num_nodes_ = 0;
  MaxFlow flow_;
};

}  // namespace

bool is_compute_intensive(const Event& op) {
  return std::ranges::any_of(kComputeIntensive, [&](std::string_view name) {
    return op.name.substr(0, name.size()) == name;
  });
}

std::vector<int> cut_gaps(const Problem& problem, const std::vector<char>& may_run) {
  const Network network(problem, may_run);
  std::vector<int> gaps;
  for (std::size_t gap = 0; gap < problem.gaps().size(); ++gap)
    if (network.is_recomputed(problem.gaps()[gap].value)) gaps.push_back(static_cast<int>(gap));
  return gaps;
}

Schedule recompute_once(const Problem& problem, const std::vector<int>& gaps) {
  const StepGraph& graph = problem.graph();
  std::map<EventIndex, std::vector<ValueIndex>> wanted;
  std::vector<EventIndex> dropped_at(graph.values.size(), graph.num_events());
  for (int gap : gaps) {
    const auto& [value, time] = problem.gaps()[gap];
    wanted[time.end].push_back(value);
    dropped_at[value] = std::min(dropped_at[value], time.begin);
  }
  std::vector<char> is_restored(graph.values.size(), 0);
  const auto is_there = [&](ValueIndex v, EventIndex at) {
    if (is_restored[v]) return graph.values[v].handles.empty() || problem.natural_end(v) > at;
    return dropped_at[v] > at && problem.is_there(v, at);
  };
  Schedule schedule;
  for (auto& [at, missing] : wanted) {
    std::set<EventIndex> ops;
    std::erase_if(missing, [&, e = at](ValueIndex v) { return is_there(v, e); });
    while (!missing.empty()) {
      const ValueIndex v = missing.back();
      missing.pop_back();
      if (!problem.can_replay_at(v, at) || !ops.insert(graph.values[v].producer).second) continue;
      for (ValueIndex input : problem.reads(graph.values[v].producer))
        if (!is_there(input, at)) missing.push_back(input);
    }
    for (EventIndex op : ops)
      for (ValueIndex v : problem.restores(op)) is_restored[v] = 1;
    if (!ops.empty()) schedule.push_back({at, {ops.begin(), ops.end()}});
  }
  return schedule;
}

}  // namespace tidemark
