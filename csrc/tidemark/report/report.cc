#include "tidemark/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tidemark/plan/simulate.h"
#include "tidemark/report/composition.h"

namespace tidemark {
namespace {

// The first steps of a loop find no gradients or optimizer state yet: under a plan from elsewhere
// they differ from it.
constexpr std::int64_t kFirstSteps = 2;

void require_in_range(std::int32_t index, std::int32_t size, const char* what) {
  if (index >= 0 && index < size) return;
  throw std::invalid_argument(fmt::format(
      "report: the plan names {} {}, but the graph has {} of them (0 to {}); was the plan made for "
      "another graph?",
      what, index, size, size - 1));
}

void check_names(const StepGraph& graph, const Plan& plan) {
  require_in_range(plan.peak_event, graph.num_events(), "event");
  for (const EventActions& at : plan.actions) {
    require_in_range(at.event, graph.num_events(), "event");
    for (const Action& action : at.actions) {
      const bool is_replay = action.kind == ActionKind::kReplay;
      require_in_range(action.target, is_replay ? graph.num_events() : graph.num_values(),
                       is_replay ? "event" : "value");
    }
  }
}

PeakValue describe(const StepGraph& graph, const ResidentValue& resident) {
  const Value& value = graph.values[static_cast<std::size_t>(resident.value)];
  PeakValue result{.value = resident.value,
                   .bytes = value.bytes,
                   .category = value.category,
                   .op = "",
                   .scope = scope_of(graph, resident.value),
                   .source = "",
                   .is_restored = resident.is_restored};
  if (value.producer == kNone) return result;
  const Event& producer = graph.events[static_cast<std::size_t>(value.producer)];
  result.op = producer.name;
  result.source = producer.source;
  return result;
}

void keep_largest(std::vector<PeakValue>& values, int limit) {
  std::stable_sort(values.begin(), values.end(),
                   [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  if (values.size() > static_cast<std::size_t>(limit))
    values.resize(static_cast<std::size_t>(limit));
}

std::vector<ScopeBytes> largest_scopes(const std::map<std::string, Bytes>& scopes, int limit) {
  std::vector<ScopeBytes> result;
  result.reserve(scopes.size());
  for (const auto& [scope, bytes] : scopes) result.push_back({scope, bytes});
  std::stable_sort(result.begin(), result.end(),
                   [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  if (result.size() > static_cast<std::size_t>(limit))
    result.resize(static_cast<std::size_t>(limit));
  return result;
}

Peak peak_at(const StepGraph& graph, const Plan& plan, Bytes bytes, EventIndex event,
             const ReportOptions& options) {
  const Event& worst = graph.events[static_cast<std::size_t>(event)];
  Peak peak{.bytes = bytes,
            .event = event,
            .op = worst.name,
            .phase = std::string(to_string(worst.phase)),
            .scope = worst.scope,
            .source = worst.source,
            .by_scope = {},
            .largest = {}};
  peak.untouched_bytes = graph.entry.other_bytes;
  Bytes attributed = peak.untouched_bytes;
  std::map<std::string, Bytes> scopes;
  for (const ResidentValue& resident : resident_values(graph, plan, event)) {
    PeakValue value = describe(graph, resident);
    peak.by_category[static_cast<std::size_t>(value.category)] += value.bytes;
    scopes[value.scope] += value.bytes;
    attributed += value.bytes;
    peak.largest.push_back(std::move(value));
  }
  peak.workspace_bytes = std::max<Bytes>(0, bytes - attributed);
  peak.by_scope = largest_scopes(scopes, options.max_scopes);
  keep_largest(peak.largest, options.max_values);
  return peak;
}

void count_drops(const StepGraph& graph, const Plan& plan, Report& report) {
  std::set<ValueIndex> dropped;
  for (const EventActions& at : plan.actions) {
    for (const Action& action : at.actions) {
      if (action.kind == ActionKind::kDrop) dropped.insert(action.target);
    }
  }
  report.num_dropped = static_cast<std::int64_t>(dropped.size());
  for (ValueIndex value : dropped) {
    report.dropped_bytes += graph.values[static_cast<std::size_t>(value)].bytes;
  }
}

void count_pools(const StepGraph& graph, Report& report) {
  std::set<BlockIndex> blocks;
  for (const Value& value : graph.values) {
    Pool& pool = report.pools[static_cast<std::size_t>(value.category)];
    pool.value_bytes += value.bytes;
    if (blocks.insert(value.block).second) pool.block_bytes += value.bytes;
  }
}

void count_graph(const StepGraph& graph, Report& report) {
  count_pools(graph, report);
  report.num_values = graph.num_values();
  for (const Event& event : graph.events) {
    if (event.kind != EventKind::kOp) continue;
    ++report.num_ops;
    if (event.phase != Phase::kBackward && !event.pinned.empty()) ++report.num_pinned;
  }
}

double ratio(Nanoseconds part, Nanoseconds whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

std::string advice_after_run(const Report& report) {
  if (report.measured_peak_bytes && report.budget_bytes &&
      *report.measured_peak_bytes > *report.budget_bytes) {
    return "the measured peak is above the budget, which must not happen: please report it with "
           "the recorded graph.";
  }
  if (report.steps && report.steps->diverged > kFirstSteps) {
    return fmt::format(
        "{} steps did other ops than their plan knew; look for branches that depend on data.",
        report.steps->diverged);
  }
  return "";
}

std::string advice(const Report& report) {
  if (std::string text = advice_after_run(report); !text.empty()) return text;
  if (!report.budget_bytes) {
    return "`tidemark frontier` shows in how few bytes this step can run, and what that costs.";
  }
  if (!report.fits) {
    return fmt::format("raise the budget to {} or more; `tidemark frontier` shows the curve.",
                       format_bytes(report.least_feasible_bytes.value_or(report.peak.bytes)));
  }
  if (report.recompute_ns > 0) {
    return fmt::format(
        "a budget of {} removes all recomputation; `tidemark frontier` shows what "
        "lies between.",
        format_bytes(report.unplanned_peak_bytes));
  }
  return "nothing is computed again in this budget; `tidemark frontier` shows how much lower it "
         "can "
         "go.";
}

void finish(const StepGraph& graph, const ReportOptions& options, Report& report) {
  report.is_estimate = graph.is_estimate;
  report.steps = options.steps;
  report.measured_peak_bytes = options.measured_peak_bytes;
  report.arena = options.arena;
  report.next = advice(report);
}

}  // namespace

Report make_report(const StepGraph& graph, const Plan& plan, const ReportOptions& options) {
  check_names(graph, plan);
  Report report;
  report.budget_bytes = plan.budget_bytes;
  report.unplanned_peak_bytes = plan.unplanned_peak_bytes;
  report.floor_bytes = plan.floor_bytes;
  report.least_feasible_bytes = plan.least_feasible_bytes;
  report.fits = plan.peak_bytes <= plan.budget_bytes;
  report.step_ns = plan.step_ns;
  report.recompute_ns = plan.recompute_ns;
  report.overhead = ratio(plan.recompute_ns, plan.step_ns);
  report.lower_bound_ns = plan.lower_bound_ns;
  report.gap = ratio(plan.recompute_ns - plan.lower_bound_ns, plan.step_ns + plan.lower_bound_ns);
  report.peak = peak_at(graph, plan, plan.peak_bytes, plan.peak_event, options);
  report.policy = plan.policy;
  report.wishes = plan.wishes;
  report.num_replays = plan.num_replays;
  report.sharing = sharing_of(graph, simulate(graph, plan));
  count_graph(graph, report);
  count_drops(graph, plan, report);
  finish(graph, options, report);
  return report;
}

Report make_report(const StepGraph& graph, const ReportOptions& options) {
  const Simulation simulation = simulate(graph);
  Report report;
  report.unplanned_peak_bytes = simulation.peak_bytes;
  report.step_ns = simulation.step_ns;
  report.sharing = sharing_of(graph, simulation);
  if (!graph.events.empty()) {
    report.peak = peak_at(graph, Plan{}, simulation.peak_bytes, simulation.peak_event, options);
  }
  count_graph(graph, report);
  finish(graph, options, report);
  return report;
}

}  // namespace tidemark
