#include "tidemark/plan/keep_cut.h"

#include <algorithm>
#include <map>
#include <ranges>

#include "tidemark/plan/max_flow.h"

namespace tidemark {
namespace {

constexpr int kSource = 0;
constexpr int kSink = 1;
constexpr int kFirstNode = 2;
// Capacities are nanoseconds times this, so that prices far below 1 ns per byte are told apart;
// times less where all of them together would come near to what is infinite.
constexpr double kScale = 1024;
constexpr double kMostSum = static_cast<double>(MaxFlow::kInfinite) / 4;

}  // namespace

KeepCut::KeepCut(const Problem& problem, EventIndex event, const std::vector<EventIndex>& free_ops,
                 EventIndex until)
    : problem_(problem),
      graph_(problem.graph()),
      moment_(problem, event),
      node_of_value_(graph_.values.size(), kNone),
      node_of_op_(graph_.events.size(), kNone) {
  for (const Event& op : graph_.events) costs_.push_back(op.cost_ns);
  for (EventIndex op : free_ops) costs_[op] = 0;
  for (const Gap& gap : problem.restorable_gaps()) {
    if (!moment_.is_in(gap) || gap.time.end > until) continue;
    wanted_.push_back(gap.value);
    add_value(gap.value);
  }
  // An op adds what it reads: the list grows on the way.
  for (std::size_t next = 0; next < values_.size();) {
    const EventIndex op = graph_.values[values_[next++]].producer;
    if (node_of_op_[op] == kNone) add_op(op);
  }
  for (EventIndex op : ops_) all_ns_ += static_cast<double>(costs_[op]);
  for (ValueIndex v : values_) all_bytes_ += static_cast<double>(graph_.values[v].bytes);
  int node = kFirstNode;
  for (ValueIndex v : values_) node_of_value_[v] = node++;
  for (EventIndex op : ops_) node_of_op_[op] = node++;
}

void KeepCut::add_value(ValueIndex v) {
  if (node_of_value_[v] != kNone) return;
  node_of_value_[v] = 0;
  values_.push_back(v);
}

void KeepCut::add_op(EventIndex op) {
  node_of_op_[op] = 0;
  ops_.push_back(op);
  for (ValueIndex v : problem_.reads(op))
    if (!moment_.is_there(v)) add_value(v);
}

double KeepCut::scale_at(double ns_per_byte) const {
  return std::min(kScale, kMostSum / std::max(all_ns_ + ns_per_byte * all_bytes_, 1.0));
}

// Capacities are rounded down.
double KeepCut::rounding_at(double ns_per_byte) const {
  return static_cast<double>(size()) / scale_at(ns_per_byte);
}

Cut KeepCut::at_price(double ns_per_byte, std::span<const RunAgain> decided) const {
  const double scale = scale_at(ns_per_byte);
  MaxFlow flow(kFirstNode + static_cast<int>(size()));
  for (ValueIndex v : wanted_) flow.add_edge(kSource, node_of_value_[v], MaxFlow::kInfinite);
  for (ValueIndex v : values_) {
    const double price = ns_per_byte * static_cast<double>(graph_.values[v].bytes) * scale;
    flow.add_edge(node_of_value_[v], node_of_op_[graph_.values[v].producer],
                  static_cast<MaxFlow::Capacity>(price));
  }
  for (EventIndex op : ops_) {
    const auto cost = static_cast<MaxFlow::Capacity>(static_cast<double>(costs_[op]) * scale);
    flow.add_edge(node_of_op_[op], kSink, problem_.is_replayable(op) ? cost : MaxFlow::kInfinite);
    for (ValueIndex v : problem_.reads(op))
      if (node_of_value_[v] != kNone)
        flow.add_edge(node_of_op_[op], node_of_value_[v], MaxFlow::kInfinite);
  }
  for (const auto& [op, is_run] : decided) {
    const int node = node_of_op_[op];
    flow.add_edge(is_run ? kSource : node, is_run ? node : kSink, MaxFlow::kInfinite);
  }
  flow.run(kSource, kSink);
  Cut cut;
  for (EventIndex op : ops_)
    if (flow.is_on_source_side(node_of_op_[op])) cut.recompute_ns += costs_[op];
  for (ValueIndex v : values_) {
    if (!flow.is_on_source_side(node_of_value_[v])) continue;
    if (flow.is_on_source_side(node_of_op_[graph_.values[v].producer])) continue;
    cut.kept_bytes += graph_.values[v].bytes;
    cut.kept.push_back(v);
  }
  std::ranges::sort(cut.kept);
  return cut;
}

// Looks for a choice between a corner and the next. Returns whether there is none.
bool KeepCut::prove(std::size_t index) {
  Corner& corner = corners_[index];
  const Cut& next = corners_[index + 1].cut;
  const auto bytes = static_cast<double>(corner.cut.kept_bytes - next.kept_bytes);
  const double price = static_cast<double>(next.recompute_ns - corner.cut.recompute_ns) / bytes;
  const auto cost = [price](const Cut& cut) {
    return static_cast<double>(cut.recompute_ns) + price * static_cast<double>(cut.kept_bytes);
  };
  Cut middle = at_price(price);
  const double rounding = rounding_at(price);
  const bool is_between = middle.kept_bytes < corner.cut.kept_bytes &&
                          middle.kept_bytes > next.kept_bytes &&
                          cost(middle) < cost(next) - rounding - 1;
  if (!is_between) {
    corner.is_next_proven = true;
    corner.price = price;
    corner.least = std::min(cost(middle), cost(next)) * (1 - 1e-9) - rounding;
    return true;
  }
  corners_.insert(corners_.begin() + static_cast<std::ptrdiff_t>(index) + 1,
                  Corner{.cut = std::move(middle)});
  return false;
}

// Returns the last corner that holds more than `room`, or the last but one if all do, and proves
// the way to the next; the first if none does, or there is no other.
std::size_t KeepCut::corner_before(Bytes room) {
  if (corners_.empty()) {
    corners_.push_back({.cut = at_price(0)});
    // A byte for which everything is computed again.
    Cut small = at_price(highest_price());
    if (small.kept_bytes < corners_.front().cut.kept_bytes)
      corners_.push_back({.cut = std::move(small)});
  }
  std::size_t index = 0;
  if (corners_.front().cut.kept_bytes <= room || corners_.size() == 1) return index;
  do {
    while (index + 2 < corners_.size() && corners_[index + 1].cut.kept_bytes > room) ++index;
  } while (!corners_[index].is_next_proven && !prove(index));
  return index;
}

const Cut& KeepCut::within(Bytes room, Nanoseconds& bound) {
  bound = 0;
  const std::size_t index = corner_before(room);
  const Corner& corner = corners_[index];
  if (!corner.is_next_proven || corner.cut.kept_bytes <= room) return corner.cut;
  const double least = corner.least - corner.price * static_cast<double>(room);
  bound = std::max<Nanoseconds>(0, static_cast<Nanoseconds>(least));
  return corners_[index + 1].cut;
}

std::vector<ValueIndex> KeepCut::mixed(Bytes room) {
  const std::size_t index = corner_before(room);
  const std::vector<ValueIndex>& more = corners_[index].cut.kept;
  if (corners_[index].cut.kept_bytes <= room || index + 1 == corners_.size()) return more;
  const std::vector<ValueIndex>& less = corners_[index + 1].cut.kept;
  // Bytes that the choices differ by, by the event from which the first counts.
  std::map<EventIndex, Bytes> extra;
  for (ValueIndex v : more) extra[graph_.values[v].producer] += graph_.values[v].bytes;
  for (ValueIndex v : less) extra[graph_.values[v].producer] -= graph_.values[v].bytes;
  EventIndex first = graph_.num_events();
  Bytes held = corners_[index + 1].cut.kept_bytes;
  for (const auto& [event, bytes] : extra | std::views::reverse) {
    held += bytes;
    if (held <= room) first = event;
  }
  std::vector<ValueIndex> kept;
  for (ValueIndex v : less)
    if (graph_.values[v].producer < first) kept.push_back(v);
  for (ValueIndex v : more)
    if (graph_.values[v].producer >= first) kept.push_back(v);
  std::ranges::sort(kept);
  return kept;
}

}  // namespace tidemark
