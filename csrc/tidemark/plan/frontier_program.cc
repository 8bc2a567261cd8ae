#include "tidemark/plan/frontier_program.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace tidemark {
namespace {

constexpr int kUnits = 240;
// Of which the table looks at a sixth.
constexpr std::int64_t kTableEntriesPerStep = 200;
constexpr double kEndless = std::numeric_limits<double>::infinity();

// Returns the falling sequence that lies nearest (pool adjacent violators, Ayer et al. 1955).
std::vector<double> falling_fit(const std::vector<double>& heights) {
  struct Pool {
    double sum;
    int count;
    double mean() const { return sum / count; }
  };
  std::vector<Pool> pools;
  for (double height : heights) {
    pools.push_back({height, 1});
    while (pools.size() > 1 && pools.back().mean() > pools[pools.size() - 2].mean()) {
      const Pool last = pools.back();
      pools.pop_back();
      pools.back().sum += last.sum;
      pools.back().count += last.count;
    }
  }
  std::vector<double> fit;
  for (const Pool& pool : pools) fit.insert(fit.end(), pool.count, pool.mean());
  return fit;
}

}  // namespace

FrontierProgram::FrontierProgram(const Problem& problem, int windows)
    : problem_(problem), graph_(problem.graph()), peak_(problem.unplanned().peak_event) {
  find_movables();
  find_uses();
  find_moments(windows);
  find_frontiers();
  find_chunks();
  find_curves();
  find_parts();
}

void FrontierProgram::find_movables() {
  for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
    const Value& value = graph_.values[v];
    is_movable_.push_back(value.producer != kNone && value.producer <= peak_ &&
                          problem_.is_replayable(value.producer) &&
                          problem_.end_of(v, value.holds.front()) < graph_.num_events());
  }
}

void FrontierProgram::find_uses() {
  last_first_use_.assign(graph_.values.size(), kNone);
  wants_.resize(graph_.events.size());
  for (EventIndex e = 0; e < graph_.num_events(); ++e) {
    const Event& event = graph_.events[e];
    if (e <= peak_) {
      for (ValueIndex v : event.inputs) last_first_use_[v] = e;
      continue;
    }
    const bool is_unpack = event.kind == EventKind::kUnpack;
    if (!is_unpack && graph_.has_runtime_actions) continue;
    for (ValueIndex v : is_unpack ? event.values : event.inputs) {
      const bool is_taken_up = std::ranges::any_of(
          graph_.values[v].holds, [e](const Interval& hold) { return hold.begin == e; });
      if (is_taken_up && is_movable_[v]) wants_[e].push_back(v);
    }
  }
}

void FrontierProgram::find_moments(int windows) {
  std::vector<Bytes> width(static_cast<std::size_t>(peak_) + 2, 0);
  for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
    if (last_first_use_[v] == kNone || !is_movable_[v]) continue;
    width[graph_.values[v].producer] += graph_.values[v].bytes;
    width[last_first_use_[v]] -= graph_.values[v].bytes;
  }
  for (EventIndex e = 1; e <= peak_; ++e) width[e] += width[e - 1];
  moments_.assign(1, -1);
  const int count = std::min(windows, static_cast<int>(peak_) + 1);
  for (int w = 0; w + 1 < count; ++w) {
    const auto begin = static_cast<EventIndex>(std::int64_t{peak_} * w / count);
    const auto end = static_cast<EventIndex>(std::int64_t{peak_} * (w + 1) / count);
    if (begin == end) continue;
    const auto narrowest = std::min_element(width.begin() + begin, width.begin() + end);
    moments_.push_back(static_cast<EventIndex>(narrowest - width.begin()));
  }
  moments_.push_back(peak_);
}

void FrontierProgram::find_frontiers() {
  for (EventIndex moment : moments_) {
    std::vector<ValueIndex> frontier;
    Bytes bytes = 0;
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
      if (!is_movable_[v] || graph_.values[v].producer > moment) continue;
      if (moment == peak_ || last_first_use_[v] <= moment) continue;
      frontier.push_back(v);
      bytes += graph_.values[v].bytes;
    }
    frontier_.push_back(std::move(frontier));
    width_.push_back(bytes);
  }
}

void FrontierProgram::find_chunks() {
  std::vector<EventIndex> events;
  std::vector<double> heights;
  for (EventIndex e = peak_ + 1; e < graph_.num_events(); ++e) {
    if (wants_[e].empty()) continue;
    EventIndex highest = 0;
    for (ValueIndex v : wants_[e]) highest = std::max(highest, graph_.values[v].producer);
    events.push_back(e);
    heights.push_back(highest);
  }
  const std::vector<double> fit = falling_fit(heights);
  start_.assign(moments_.size(), graph_.num_events());
  for (std::size_t i = events.size(); i-- > 0;)
    for (std::size_t s = moments_.size() - 1; s > 0 && fit[i] <= moments_[s]; --s)
      start_[s] = events[i];
}

// What is there besides: in the first part what it still needs itself, in the second its own
// values.
void FrontierProgram::find_curves() {
  const EventIndex n = graph_.num_events();
  beside_.assign(n + 1, 0);
  for (const Gap& gap : problem_.gaps()) {
    const bool is_first = graph_.values[gap.value].producer <= peak_;
    if (is_first && gap.time.end > peak_) continue;
    beside_[gap.time.begin] += graph_.values[gap.value].bytes;
    beside_[gap.time.end] -= graph_.values[gap.value].bytes;
  }
  for (EventIndex e = 1; e <= n; ++e) beside_[e] += beside_[e - 1];
  for (EventIndex e = 0; e < n; ++e) beside_[e] += problem_.dropped()[e].peak;
  fixed_bytes_ = *std::ranges::min_element(beside_.begin(), beside_.end() - 1);
}

// What must run for `targets`, from what was made up to `after`.
FrontierProgram::Replays FrontierProgram::replays(const std::vector<ValueIndex>& targets,
                                                  EventIndex after) const {
  Replays result;
  // Of values made after that: how often they are read or wanted, where they have been met at all.
  std::vector<int> reads_left(graph_.values.size(), 0);
  std::vector<char> is_met(static_cast<std::size_t>(peak_) + 1, 0);
  std::vector<ValueIndex> missing;
  const auto read = [&](ValueIndex v) {
    ++reads_left[v];
    missing.push_back(v);
  };
  for (ValueIndex v : targets)
    if (graph_.values[v].producer > after) read(v);
  while (!missing.empty()) {
    const EventIndex op = graph_.values[missing.back()].producer;
    missing.pop_back();
    if (std::exchange(is_met[op], 1)) continue;
    result.ops.push_back(op);
    for (ValueIndex v : problem_.reads(op))
      if (graph_.values[v].producer > after && is_movable_[v]) read(v);
  }
  std::ranges::sort(result.ops);
  Bytes live = 0;
  for (EventIndex op : result.ops) {
    result.cost_ns += graph_.events[op].cost_ns;
    for (ValueIndex v : problem_.restores(op)) live += graph_.values[v].bytes;
    result.peak_bytes = std::max(result.peak_bytes, live + graph_.events[op].workspace_bytes);
    for (ValueIndex v : problem_.restores(op))
      if (reads_left[v] == 0) live -= graph_.values[v].bytes;
    for (ValueIndex v : problem_.reads(op))
      if (reads_left[v] > 0 && --reads_left[v] == 0) live -= graph_.values[v].bytes;
  }
  return result;
}

// What the chunks to .. from + 1 take up.
std::vector<ValueIndex> FrontierProgram::wanted(int from, int to) const {
  std::vector<ValueIndex> values;
  for (EventIndex e = start_[to]; e < start_[from]; ++e)
    for (ValueIndex v : wants_[e])
      if (graph_.values[v].producer <= moments_[to]) values.push_back(v);
  std::ranges::sort(values);
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

// The most there is while the first part runs from one moment to another, with what the chunks
// between them want kept or not.
Bytes FrontierProgram::first_sweep_bytes(int from, int to, bool is_kept) const {
  // What is stored besides, from the event on at which the first part itself needs it no more.
  std::vector<std::pair<EventIndex, Bytes>> stored;
  const auto store = [&](ValueIndex v) {
    const EventIndex begin = std::max(graph_.values[v].producer, last_first_use_[v]) + 1;
    stored.emplace_back(begin, graph_.values[v].bytes);
  };
  std::ranges::for_each(frontier_[from], store);
  if (is_kept)
    for (ValueIndex v : wanted(from, to))
      if (!std::ranges::binary_search(frontier_[from], v)) store(v);
  std::ranges::sort(stored);
  Bytes bytes = 0;
  Bytes most = 0;
  auto next = stored.begin();
  for (EventIndex e = moments_[from] + 1; e <= moments_[to]; ++e) {
    for (; next != stored.end() && next->first <= e; ++next) bytes += next->second;
    most = std::max(most, beside_[e] + bytes);
  }
  return most;
}

// The chunks to .. from + 1, what they want computed again at once before the first.
FrontierProgram::Part FrontierProgram::base_of(int from, int to) const {
  const EventIndex begin = start_[to];
  const EventIndex end = start_[from];
  if (begin >= end) return {};
  const std::vector<ValueIndex> values = wanted(from, to);
  const Replays again = replays(values, moments_[from]);
  Part part{again.cost_ns, problem_.dropped()[begin].before + width_[from] + again.peak_bytes};
  // From the last event back: what is taken up there for the last time is stored up to it.
  std::vector<char> is_met(graph_.values.size(), 0);
  Bytes stored = 0;
  for (EventIndex e = end - 1; e >= begin; --e) {
    part.peak_bytes = std::max(part.peak_bytes, beside_[e] + stored);
    for (ValueIndex v : wants_[e])
      if (graph_.values[v].producer <= moments_[to] && !std::exchange(is_met[v], 1))
        stored += graph_.values[v].bytes;
  }
  return part;
}

void FrontierProgram::find_parts() {
  const std::size_t size = moments_.size();
  advance_.resize(size * size);
  sweep_.resize(size * size);
  base_.resize(size * size);
  for (int i = 0; i <= num_moments(); ++i)
    for (int k = i + 1; k <= num_moments(); ++k) {
      const std::size_t at = static_cast<std::size_t>(i) * size + static_cast<std::size_t>(k);
      const Replays again = replays(frontier_[k], moments_[i]);
      advance_[at] = {again.cost_ns, width_[i] + again.peak_bytes};
      sweep_[at] = {0, first_sweep_bytes(i, k, k == num_moments())};
      base_[at] = base_of(i, k);
    }
}

// The program for one budget.
struct FrontierProgram::Table {
  Table(const FrontierProgram& program, Bytes bytes) : p(program), n(program.num_moments()) {
    unit = std::max(1.0, static_cast<double>(bytes - p.fixed_bytes_) / kUnits);
    const std::size_t size = static_cast<std::size_t>(n + 1) * (n + 1) * (kUnits + 1);
    chunk_cost.assign(size, kEndless);
    chunk_choice.assign(size, kNone);
    sweep_cost.assign(static_cast<std::size_t>(n + 1) * (kUnits + 1), kEndless);
    sweep_choice.assign(sweep_cost.size(), kNone);
    overlap.assign(static_cast<std::size_t>(n + 1) * (n + 1), 0);
    for (int i = 0; i <= n; ++i)
      for (int k = i + 1; k <= n; ++k) overlap[i * (n + 1) + k] = left_units(i, k);
    for (int length = 1; length <= n; ++length)
      for (int i = 0; i + length <= n; ++i) fill_chunks(i, i + length);
    for (int i = n; i >= 0; --i) fill_sweep(i);
  }

  // More than all there are is as good as one more than all.
  int units(Bytes bytes) const {
    const double units = std::ceil(static_cast<double>(bytes - p.fixed_bytes_) / unit - 0.25);
    return static_cast<int>(std::clamp(units, 0.0, kUnits + 1.0));
  }
  // What frontier i takes on top of frontier k.
  int left_units(int i, int k) const {
    Bytes bytes = 0;
    for (ValueIndex v : p.frontier_[i])
      if (!std::ranges::binary_search(p.frontier_[k], v)) bytes += p.graph_.values[v].bytes;
    return static_cast<int>(std::min(std::round(static_cast<double>(bytes) / unit), kUnits + 1.0));
  }
  std::size_t index(int i, int j, int m) const {
    return (static_cast<std::size_t>(i) * (n + 1) + j) * (kUnits + 1) + m;
  }
  std::size_t index(int i, int m) const { return static_cast<std::size_t>(i) * (kUnits + 1) + m; }

  void fill_chunks(int i, int j) {
    const Part& base = p.part(p.base_, i, j);
    const bool is_empty = p.start_[j] >= p.start_[i];
    const int base_units = is_empty ? 0 : units(base.peak_bytes);
    for (int m = base_units; m <= kUnits; ++m) {
      chunk_cost[index(i, j, m)] = static_cast<double>(base.cost_ns);
      chunk_choice[index(i, j, m)] = i;
    }
    if (is_empty) return;
    const Bytes before = p.problem_.dropped()[p.start_[j]].before;
    for (int k = i + 1; k < j; ++k) {
      const Part& advance = p.part(p.advance_, i, k);
      const int left = overlap[i * (n + 1) + k];
      for (int m = std::max(units(before + advance.peak_bytes), left); m <= kUnits; ++m) {
        const double cost = static_cast<double>(advance.cost_ns) +
                            chunk_cost[index(k, j, m - left)] + chunk_cost[index(i, k, m)];
        if (cost >= chunk_cost[index(i, j, m)]) continue;
        chunk_cost[index(i, j, m)] = cost;
        chunk_choice[index(i, j, m)] = k;
      }
    }
  }

  void fill_sweep(int i) {
    // What the last chunks want stays from the sweep.
    const Bytes kept =
        i == n ? 0 : std::max(p.part(p.base_, i, n).peak_bytes, p.part(p.sweep_, i, n).peak_bytes);
    const int base_units = units(kept);
    for (int m = base_units; m <= kUnits; ++m) {
      sweep_cost[index(i, m)] = 0;
      sweep_choice[index(i, m)] = i;
    }
    for (int k = i + 1; k < n; ++k) {
      const int left = overlap[i * (n + 1) + k];
      for (int m = std::max(units(p.part(p.sweep_, i, k).peak_bytes), left); m <= kUnits; ++m) {
        const double cost = sweep_cost[index(k, m - left)] + chunk_cost[index(i, k, m)];
        if (cost >= sweep_cost[index(i, m)]) continue;
        sweep_cost[index(i, m)] = cost;
        sweep_choice[index(i, m)] = k;
      }
    }
  }

  void emit_sweep(int i, int m, std::map<EventIndex, std::set<EventIndex>>& lists) const {
    const int k = sweep_choice[index(i, m)];
    if (k == i) return;
    emit_sweep(k, m - overlap[i * (n + 1) + k], lists);
    emit_chunks(i, k, m, lists);
  }

  void emit_chunks(int i, int j, int m, std::map<EventIndex, std::set<EventIndex>>& lists) const {
    const int k = chunk_choice[index(i, j, m)];
    if (p.start_[j] >= p.start_[i]) return;
    const Replays again = k == i ? p.replays(p.wanted(i, j), p.moments_[i])
                                 : p.replays(p.frontier_[k], p.moments_[i]);
    lists[p.start_[j]].insert(again.ops.begin(), again.ops.end());
    if (k == i) return;
    emit_chunks(k, j, m - overlap[i * (n + 1) + k], lists);
    emit_chunks(i, k, m, lists);
  }

  const FrontierProgram& p;
  int n;
  double unit = 1;
  std::vector<double> chunk_cost;
  std::vector<int> chunk_choice;  // i: the chunks at once
  std::vector<double> sweep_cost;
  std::vector<int> sweep_choice;
  std::vector<int> overlap;
};

// Adds what the lists read and what cannot stay until then.
std::optional<Schedule> FrontierProgram::finish(
    // NOLINTNEXTLINE(performance-unnecessary-value-param): it adds to them
    std::map<EventIndex, std::set<EventIndex>> lists) const {
  std::vector<char> was_restored(graph_.values.size(), 0);
  Schedule schedule;
  for (auto& [at, ops] : lists) {
    std::vector<EventIndex> open(ops.begin(), ops.end());
    while (!open.empty()) {
      const EventIndex op = open.back();
      open.pop_back();
      for (ValueIndex v : problem_.reads(op)) {
        const EventIndex producer = graph_.values[v].producer;
        if (producer != kNone && ops.contains(producer)) continue;
        const bool can_stay = graph_.values[v].handles.empty()
                                  ? was_restored[v] != 0 || problem_.can_stay_until(v, at)
                                  : problem_.natural_end(v) > at;
        if (can_stay) continue;
        if (!problem_.can_replay_at(v, at)) return std::nullopt;
        ops.insert(producer);
        open.push_back(producer);
      }
    }
    for (EventIndex op : ops)
      for (ValueIndex v : problem_.restores(op)) was_restored[v] = 1;
    schedule.push_back({at, {ops.begin(), ops.end()}});
  }
  prune(problem_, schedule);
  return schedule;
}

std::int64_t FrontierProgram::work() const {
  const auto n = static_cast<std::int64_t>(num_moments());
  return n * n * n * kUnits / kTableEntriesPerStep;
}

std::optional<Schedule> FrontierProgram::schedule(Bytes bytes) const {
  if (num_moments() < 2 || bytes <= fixed_bytes_) return std::nullopt;
  const Table table(*this, bytes);
  if (table.sweep_choice[table.index(0, kUnits)] == kNone) return std::nullopt;
  std::map<EventIndex, std::set<EventIndex>> lists;
  table.emit_sweep(0, kUnits, lists);
  return finish(std::move(lists));
}

}  // namespace tidemark
