#include "tidemark/report/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "tidemark/base/error.h"
#include "tidemark/graph/lifetime.h"
#include "tidemark/plan/problem.h"
#include "tidemark/report/composition.h"

namespace tidemark {
namespace {

constexpr std::array<double, 4> kNextBudgets{1.05, 1.1, 1.25, 1.5};

class Explainer {
 public:
  Explainer(const StepGraph& graph, const Plan& plan)
      : graph_(graph), plan_(plan), problem_(graph), dropped_at_(graph.values.size(), kNone) {
    for (const EventActions& at : plan.actions) {
      for (const Action& action : at.actions) {
        const bool is_replay = action.kind == ActionKind::kReplay;
        const std::size_t count = is_replay ? graph.events.size() : graph.values.size();
        TIDEMARK_CHECK_VALUE(action.target >= 0 && static_cast<std::size_t>(action.target) < count,
                             "the plan names ", action.target, " at event ", at.event,
                             ", which the graph does not have");
        if (is_replay) replayed_at_[action.target].push_back(at.event);
        if (action.kind == ActionKind::kDrop && dropped_at_[action.target] == kNone)
          dropped_at_[action.target] = at.event;
      }
    }
    find_dropped_price();
  }

  std::vector<ValueStory> stories(std::string_view scope) const {
    std::vector<ValueStory> stories;
    ValueIndex last = kNone;
    for (const Gap& gap : gaps(graph_)) {
      if (gap.value == last || !is_below(scope_of(graph_, gap.value), scope)) continue;
      last = gap.value;
      stories.push_back(story(gap));
    }
    std::ranges::stable_sort(stories, std::greater<>(), &ValueStory::bytes);
    return stories;
  }

  // `name_of` gives the group of an op.
  template <typename NameOf>
  std::vector<Trade> trades(NameOf name_of) const {
    std::map<std::string, Trade> groups;
    for (const auto& [op, events] : replayed_at_) {
      Trade& trade = groups[name_of(graph_.events[op])];
      trade.num_replays += static_cast<std::int64_t>(events.size());
      trade.recompute_ns += graph_.events[op].cost_ns * static_cast<Nanoseconds>(events.size());
      for (ValueIndex v : graph_.events[op].outputs)
        if (is_dropped(v)) trade.dropped_bytes += graph_.values[v].bytes;
    }
    std::vector<Trade> list;
    for (auto& [name, trade] : groups) {
      trade.name = name;
      list.push_back(std::move(trade));
    }
    std::ranges::stable_sort(list, [](const Trade& a, const Trade& b) {
      return static_cast<double>(a.dropped_bytes) * static_cast<double>(b.recompute_ns) <
             static_cast<double>(b.dropped_bytes) * static_cast<double>(a.recompute_ns);
    });
    return list;
  }

 private:
  static bool is_below(std::string_view scope, std::string_view parent) {
    const bool is_inside = scope.substr(0, parent.size()) == parent;
    return parent.empty() ||
           (is_inside && (scope.size() == parent.size() || scope[parent.size()] == '.'));
  }

  std::vector<EventIndex> replays_of(ValueIndex v) const {
    const auto found = replayed_at_.find(graph_.values[v].producer);
    return found == replayed_at_.end() ? std::vector<EventIndex>{} : found->second;
  }

  // Given up before some gap's end and had again there or before.
  bool is_dropped(ValueIndex v) const {
    return dropped_at_[v] != kNone && !replays_of(v).empty() &&
           problem_.first_gap(v) < problem_.first_gap(v + 1);
  }

  // The op and all that it needs and would not find at `at`.
  Nanoseconds cost_at(ValueIndex v, EventIndex at) const {
    Nanoseconds cost = 0;
    std::set<EventIndex> ops;
    std::vector<ValueIndex> missing{v};
    while (!missing.empty()) {
      const EventIndex op = graph_.values[missing.back()].producer;
      missing.pop_back();
      if (op == kNone || !ops.insert(op).second) continue;
      cost += graph_.events[op].cost_ns;
      for (ValueIndex input : problem_.reads(op))
        if (is_dropped(input) || problem_.natural_end(input) <= at) missing.push_back(input);
    }
    return cost;
  }

  // Nanoseconds per byte of what the plan drops, on average.
  void find_dropped_price() {
    double bytes = 0;
    for (ValueIndex v = 0; v < graph_.num_values(); ++v)
      if (is_dropped(v)) bytes += static_cast<double>(graph_.values[v].bytes);
    if (bytes > 0) dropped_price_ = static_cast<double>(plan_.recompute_ns) / bytes;
  }

  ValueStory story(const Gap& gap) const {
    const ValueIndex v = gap.value;
    const Value& value = graph_.values[v];
    const Event& op = graph_.events[value.producer];
    const EventIndex peak = problem_.unplanned().peak_event;
    ValueStory story{.value = v,
                     .op = op.name,
                     .scope = scope_of(graph_, v),
                     .source = op.source,
                     .bytes = value.bytes,
                     .is_at_peak = gap.time.begin <= peak && peak < gap.time.end};
    if (problem_.first_gap(v) == problem_.first_gap(v + 1)) {
      story.fate = Fate::kPinned;
      story.why = "cannot be computed again: " + reason_to_pin(v);
    } else if (is_dropped(v)) {
      tell_recomputed(gap, story);
    } else {
      tell_kept(gap, story);
    }
    return story;
  }

  std::string reason_to_pin(ValueIndex v) const {
    const Value& value = graph_.values[v];
    const Event& op = graph_.events[value.producer];
    if (!op.pinned.empty()) return op.pinned;
    if (value.gc_held) return "a cycle of Python references holds it";
    if (value.overwritten_at != kNone) return "its memory is written again later";
    return "something that it is made of is gone by then";
  }

  void tell_recomputed(const Gap& gap, ValueStory& story) const {
    const std::vector<EventIndex> events = replays_of(gap.value);
    story.fate = Fate::kRecomputed;
    story.num_times = static_cast<std::int64_t>(events.size());
    const Nanoseconds own = graph_.events[graph_.values[gap.value].producer].cost_ns;
    story.again_ns = own * story.num_times;
    story.why =
        fmt::format("given up after event {}, made again at event {}{}: {} for {}",
                    dropped_at_[gap.value], events.front(),
                    events.size() > 1 ? fmt::format(" and {} times more", events.size() - 1) : "",
                    format_duration(story.again_ns), format_bytes(story.bytes));
  }

  void tell_kept(const Gap& gap, ValueStory& story) const {
    story.again_ns = cost_at(gap.value, gap.time.end);
    const auto& curve = problem_.unplanned().curve;
    const bool is_pressed =
        std::any_of(curve.begin() + gap.time.begin, curve.begin() + gap.time.end,
                    [&](const Reading& reading) { return reading.peak > plan_.budget_bytes; });
    if (!is_pressed) {
      story.why = "the step is within the budget all the while it waits";
      return;
    }
    const double price =
        static_cast<double>(story.again_ns) / static_cast<double>(std::max<Bytes>(story.bytes, 1));
    const std::string cost = fmt::format(
        "it would take {} to free {}", format_duration(story.again_ns), format_bytes(story.bytes));
    if (price > dropped_price_ && dropped_price_ > 0)
      story.why = fmt::format("{}, {:.1f} times the price per byte of what is given up", cost,
                              price / dropped_price_);
    else
      story.why = cost + ", and the plan fits without";
  }

  const StepGraph& graph_;
  const Plan& plan_;
  Problem problem_;
  std::vector<EventIndex> dropped_at_;                         // per value, kNone: never
  std::map<EventIndex, std::vector<EventIndex>> replayed_at_;  // per op
  double dropped_price_ = 0;
};

std::string first_two_names(const Event& op) {
  const std::size_t one = op.scope.find('.');
  const std::size_t two = one == std::string::npos ? one : op.scope.find('.', one + 1);
  return op.scope.empty() ? "(unknown)" : op.scope.substr(0, two);
}

std::vector<BudgetStep> next_steps(const StepGraph& graph, const Plan& plan,
                                   const PlanOptions& options) {
  if (plan.recompute_ns == 0) return {};
  std::vector<Bytes> budgets;
  for (double factor : kNextBudgets) {
    const auto budget = static_cast<Bytes>(factor * static_cast<double>(plan.peak_bytes));
    if (budget > plan.budget_bytes) budgets.push_back(std::min(budget, plan.unplanned_peak_bytes));
  }
  budgets.push_back(plan.unplanned_peak_bytes);
  std::ranges::sort(budgets);
  budgets.erase(std::ranges::unique(budgets).begin(), budgets.end());
  std::vector<BudgetStep> steps;
  for (const Plan& next : frontier(graph, budgets, options).plans)
    steps.push_back({next.budget_bytes, next.recompute_ns});
  return steps;
}

}  // namespace

std::string_view to_string(Fate fate) noexcept {
  switch (fate) {
    case Fate::kKept:
      return "kept";
    case Fate::kRecomputed:
      return "recomputed";
    case Fate::kPinned:
      return "pinned";
  }
  return "unknown";
}

Explanation explain(const StepGraph& graph, const Plan& plan, const ExplainOptions& options) {
  const Explainer explainer(graph, plan);
  Explanation result{.budget_bytes = plan.budget_bytes,
                     .peak_bytes = plan.peak_bytes,
                     .unplanned_peak_bytes = plan.unplanned_peak_bytes,
                     .step_ns = plan.step_ns,
                     .recompute_ns = plan.recompute_ns,
                     .peak_event = plan.peak_event};
  TIDEMARK_CHECK_VALUE(plan.peak_event < graph.num_events(), "the plan's peak is at event ",
                       plan.peak_event, ", which the graph does not have");
  const Event& op = graph.events[plan.peak_event];
  result.peak_op = op.name;
  result.peak_scope = op.scope;
  result.peak_source = op.source;
  result.values = explainer.stories(options.scope);
  TIDEMARK_CHECK_VALUE(options.scope.empty() || !result.values.empty(),
                       "scope '", options.scope, "' has no value that backward wants");
  const auto most = static_cast<std::size_t>(std::max(options.max_values, 0));
  if (result.values.size() > most) {
    result.num_left_out = static_cast<std::int64_t>(result.values.size() - most);
    result.values.resize(most);
  }
  result.by_op = explainer.trades([](const Event& e) { return e.name; });
  result.by_scope = explainer.trades(first_two_names);
  result.next = next_steps(graph, plan, options.planning);
  return result;
}

}  // namespace tidemark
