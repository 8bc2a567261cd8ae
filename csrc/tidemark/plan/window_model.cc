#include "tidemark/plan/window_model.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <ranges>
#include <utility>

#include "tidemark/plan/floor.h"

namespace tidemark {
namespace {

// What stands for a column that was not asked for yet.
constexpr int kUnasked = kNone - 1;

}  // namespace

WindowModel::WindowModel(const Problem& problem, Bytes budget,
                         const std::vector<EventIndex>& moments)
    : problem_(problem), budget_(budget), held_(pinned_curve(problem)) {
  const StepGraph& graph = problem.graph();
  for (std::size_t i = 0; i < moments.size(); ++i) {
    const EventIndex end = i + 1 < moments.size() ? moments[i + 1] : graph.num_events();
    windows_.push_back({.moment = Moment(problem, moments[i]),
                        .end = end,
                        .room = budget - held_[moments[i]].peak,
                        .keep = std::vector<int>(graph.values.size(), kUnasked),
                        .run = std::vector<int>(graph.events.size(), kUnasked),
                        .bytes = {}});
  }
  for (int w = 0; w < static_cast<int>(windows_.size()); ++w) {
    for (const Gap& gap : problem.restorable_gaps()) {
      if (!windows_[w].moment.is_in(gap) || gap.time.end > windows_[w].end) continue;
      const EventIndex producer = graph.values[gap.value].producer;
      programme_.add_row({{keep(w, gap.value), -1}, {run(w, producer), -1}}, -1);
    }
  }
  while (!open_.empty()) {
    const Open open = open_.back();
    open_.pop_back();
    add_rows(open);
  }
  for (const Window& window : windows_) limit(window);
}

// Returns the column, kNone if there is no room for the value.
int WindowModel::keep(int w, ValueIndex v) {
  int& column = windows_[w].keep[v];
  if (column != kUnasked) return column;
  const Bytes bytes = problem_.graph().values[v].bytes;
  if (bytes > windows_[w].room) return column = kNone;
  column = programme_.add_column(0, true);
  windows_[w].bytes.emplace_back(column, static_cast<double>(bytes));
  if (w > 0) open_.push_back({.window = w, .value = v});
  return column;
}

// Returns the column, kNone if the op cannot be computed again.
int WindowModel::run(int w, EventIndex op) {
  int& column = windows_[w].run[op];
  if (column != kUnasked) return column;
  if (!problem_.is_replayable(op)) return column = kNone;
  column = programme_.add_column(static_cast<double>(problem_.graph().events[op].cost_ns), true);
  open_.push_back({.window = w, .op = op});
  return column;
}

void WindowModel::add_rows(const Open& open) {
  const auto needs = [&](int column, int w, ValueIndex v) {
    if (windows_[w].moment.is_there(v)) return;
    const EventIndex producer = problem_.graph().values[v].producer;
    programme_.add_row({{column, 1}, {keep(w, v), -1}, {run(w, producer), -1}}, 0);
  };
  if (open.value != kNone)
    return needs(windows_[open.window].keep[open.value], open.window - 1, open.value);
  for (ValueIndex v : problem_.reads(open.op))
    needs(windows_[open.window].run[open.op], open.window, v);
}

// In parts of the room, so that a solver's tolerance means the same everywhere.
void WindowModel::limit(const Window& window) {
  if (window.bytes.empty()) return;
  std::vector<Milp::Term> terms = window.bytes;
  const double unit = 1 / static_cast<double>(std::max<Bytes>(1, window.room));
  for (Milp::Term& term : terms) term.second *= unit;
  programme_.add_row(terms, static_cast<double>(window.room) * unit);
}

// Adds what surely lies in memory between the window's moment and the next as the plan's choice:
// what is kept up to the next, or until it is wanted. `bytes` are differences from event to event.
void WindowModel::add_kept(int w, Solution solution, std::vector<Bytes>& bytes) const {
  const Window& window = windows_[w];
  const Window* next = w + 1 < static_cast<int>(windows_.size()) ? &windows_[w + 1] : nullptr;
  const auto share = [&](int column) { return column < 0 ? 0.0 : solution[column]; };
  for (const Gap& gap : problem_.restorable_gaps()) {
    const Value& value = problem_.graph().values[gap.value];
    const EventIndex begin = std::max(gap.time.begin, window.moment.event());
    const EventIndex end = std::min(gap.time.end, window.end);
    if (begin >= end) continue;
    double kept = 1 - share(window.run[value.producer]);
    if (window.moment.is_in(gap)) kept = std::min(kept, share(window.keep[gap.value]));
    if (gap.time.end > window.end) kept = std::min(kept, share(next->keep[gap.value]));
    const auto kept_bytes =
        static_cast<Bytes>(std::max(0.0, kept) * static_cast<double>(value.bytes));
    bytes[begin] += kept_bytes;
    bytes[end] -= kept_bytes;
  }
}

std::vector<EventIndex> WindowModel::exceeded(Solution solution, int count) const {
  const StepGraph& graph = problem_.graph();
  std::vector<std::pair<Bytes, EventIndex>> worst;
  for (int w = 0; w < static_cast<int>(windows_.size()); ++w) {
    std::vector<Bytes> bytes(graph.events.size() + 1, 0);
    add_kept(w, solution, bytes);
    std::pair<Bytes, EventIndex> most{0, kNone};
    Bytes kept = 0;
    const EventIndex begin = windows_[w].moment.event();
    for (EventIndex e = begin; e < windows_[w].end; ++e) {
      kept += bytes[e];
      const Bytes over = held_[e].peak + kept - budget_;
      const bool is_new = e > begin && graph.events[e].kind != EventKind::kUnpack;
      if (is_new) most = std::max(most, {over, e});
    }
    if (most.second != kNone) worst.push_back(most);
  }
  std::ranges::sort(worst, std::greater{});
  if (worst.size() > static_cast<std::size_t>(count)) worst.resize(count);
  std::vector<EventIndex> events;
  std::ranges::copy(worst | std::views::values, std::back_inserter(events));
  return events;
}

std::vector<EventIndex> window_moments(const Problem& problem, Bytes budget, int count) {
  const StepGraph& graph = problem.graph();
  const std::vector<Reading> held = pinned_curve(problem);
  const std::vector<Reading>& unplanned = problem.unplanned().curve;
  std::vector<EventIndex> over;
  for (EventIndex e = 0; e < graph.num_events(); ++e)
    if (graph.events[e].kind != EventKind::kUnpack && unplanned[e].peak > budget) over.push_back(e);
  if (over.empty()) return {};
  const auto highest_of = [&](const std::vector<Reading>& curve, std::size_t from, std::size_t to) {
    return *std::max_element(
        over.begin() + static_cast<std::ptrdiff_t>(from),
        over.begin() + static_cast<std::ptrdiff_t>(to),
        [&](EventIndex a, EventIndex b) { return curve[a].peak < curve[b].peak; });
  };
  std::vector<EventIndex> moments{highest_of(unplanned, 0, over.size())};
  const std::size_t parts = std::min<std::size_t>(count, over.size());
  for (std::size_t i = 0; i < parts; ++i)
    moments.push_back(highest_of(held, over.size() * i / parts, over.size() * (i + 1) / parts));
  std::ranges::sort(moments);
  moments.erase(std::ranges::unique(moments).begin(), moments.end());
  return moments;
}

}  // namespace tidemark
