#include "tidemark/plan/wishes.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "tidemark/base/error.h"

namespace tidemark {
namespace {

// Whether `text` is `pattern`, * standing for any text.
bool is_match(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;  // the last star takes one more
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool is_in_module(std::string_view scope, std::string_view pattern) {
  for (std::size_t end = 0; end != std::string_view::npos && !scope.empty();) {
    end = scope.find('.', end + 1);
    if (is_match(pattern, scope.substr(0, end))) return true;
  }
  return false;
}

bool is_op(std::string_view name, std::string_view pattern) {
  const std::size_t space = name.find("::");
  const std::string_view bare = space == std::string_view::npos ? name : name.substr(space + 2);
  for (std::string_view text : {name, bare})
    if (is_match(pattern, text) || is_match(pattern, text.substr(0, text.find('.')))) return true;
  return false;
}

bool is_forward(const Event& op) {
  return op.kind == EventKind::kOp && op.phase == Phase::kForward;
}

std::string describe(const StepGraph& graph, EventIndex e) {
  const Event& op = graph.events[e];
  return "op " + op.name + (op.scope.empty() ? "" : " in " + op.scope) + " (event " +
         std::to_string(e) + ")";
}

// The outermost modules, for those who guessed a name.
std::string module_names(const StepGraph& graph) {
  constexpr std::size_t kMost = 12;
  std::set<std::string> names;
  for (const Event& op : graph.events)
    if (is_forward(op) && !op.scope.empty()) names.insert(op.scope.substr(0, op.scope.find('.')));
  std::string text;
  for (const std::string& name : names)
    if (names.size() <= kMost || text.size() < 200) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "no module is known" : "the outermost modules are " + text;
}

bool has_gap(const Problem& problem, EventIndex op) {
  return std::ranges::any_of(problem.graph().events[op].outputs, [&](ValueIndex v) {
    return problem.first_gap(v) < problem.first_gap(v + 1);
  });
}

void check_recomputable(const Problem& problem, std::string_view pattern) {
  const StepGraph& graph = problem.graph();
  bool can_drop = false;
  for (EventIndex e = 0; e < graph.num_events(); ++e) {
    if (!is_named(graph, e, pattern)) continue;
    TIDEMARK_CHECK_VALUE(graph.events[e].pinned.empty(), "recompute: '", pattern, "' names ",
                         describe(graph, e), ", which cannot be computed again: ",
                         graph.events[e].pinned);
    can_drop |= has_gap(problem, e);
  }
  TIDEMARK_CHECK_VALUE(can_drop, "recompute: '", pattern,
                       "' names ops of which backward wants nothing that can be dropped; there is "
                       "nothing to compute again");
}

std::vector<char> find_ops(const StepGraph& graph, std::string_view list,
                           const std::vector<std::string>& patterns) {
  std::vector<char> ops(graph.events.size(), 0);
  for (const std::string& pattern : patterns) {
    bool is_found = false;
    for (EventIndex e = 0; e < graph.num_events(); ++e) {
      if (!is_named(graph, e, pattern)) continue;
      ops[e] = 1;
      is_found = true;
    }
    TIDEMARK_CHECK_VALUE(is_found, list, ": '", pattern,
                         "' names no module, op or category of the forward pass; ",
                         module_names(graph));
  }
  return ops;
}

// Adds what must be computed again to a schedule, gap by gap.
class Dropper {
 public:
  Dropper(const Problem& problem, const WishedOps& ops, const Schedule& schedule)
      : problem_(problem), ops_(ops), restored_at_(problem.graph().values.size()) {
    for (const ReplayList& list : schedule)
      for (EventIndex op : list.ops) add(op, list.event);
  }

  Schedule run() {
    std::vector<Gap> gaps = problem_.gaps();
    std::ranges::stable_sort(gaps, {}, [](const Gap& gap) { return gap.time.end; });
    for (const auto& [value, time] : gaps)
      if (is_wished(value) && !is_restored_in(value, time.begin, time.end))
        restore(value, time.end);
    Schedule schedule;
    for (const auto& [event, list] : lists_)
      schedule.push_back({event, {list.begin(), list.end()}});
    prune(problem_, schedule);
    return schedule;
  }

 private:
  bool is_wished(ValueIndex v) const {
    return ops_.is_recomputed[problem_.graph().values[v].producer] != 0;
  }

  bool is_restored_in(ValueIndex v, EventIndex begin, EventIndex end) const {
    return std::ranges::any_of(restored_at_[v],
                               [&](EventIndex e) { return begin <= e && e <= end; });
  }

  // Returns whether the op is new to the list of `at`.
  bool add(EventIndex op, EventIndex at) {
    if (!lists_[at].insert(op).second) return false;
    for (ValueIndex v : problem_.restores(op)) restored_at_[v].push_back(at);
    return true;
  }

  void restore(ValueIndex value, EventIndex at) {
    std::vector<ValueIndex> missing{value};
    while (!missing.empty()) {
      const EventIndex op = problem_.graph().values[missing.back()].producer;
      missing.pop_back();
      if (!add(op, at)) continue;
      for (ValueIndex v : problem_.reads(op))
        if (!is_there(v, at)) missing.push_back(v);
    }
  }

  // Whether an input lies in memory at `at` without being kept for this alone.
  bool is_there(ValueIndex v, EventIndex at) const {
    if (!problem_.can_replay_at(v, at)) return true;
    for (int g = problem_.first_gap(v); g < problem_.first_gap(v + 1); ++g) {
      const Interval& time = problem_.gaps()[g].time;
      if (at < time.begin || at > time.end) continue;
      const bool is_dropped = is_wished(v) || is_restored_in(v, time.begin, time.end);
      return !is_dropped || is_restored_in(v, time.begin, at);
    }
    return problem_.is_there(v, at);
  }

  const Problem& problem_;
  const WishedOps& ops_;
  std::map<EventIndex, std::set<EventIndex>> lists_;
  std::vector<std::vector<EventIndex>> restored_at_;  // per value
};

}  // namespace

bool is_named(const StepGraph& graph, EventIndex event, std::string_view pattern) {
  const Event& op = graph.events[event];
  if (!is_forward(op)) return false;
  if (is_in_module(op.scope, pattern) || is_op(op.name, pattern)) return true;
  return std::ranges::any_of(op.outputs, [&](ValueIndex v) {
    return is_match(pattern, to_string(graph.values[v].category));
  });
}

WishedOps find_wished_ops(const StepGraph& graph, const Wishes& wishes) {
  WishedOps ops{find_ops(graph, "keep", wishes.keep),
                find_ops(graph, "recompute", wishes.recompute)};
  for (EventIndex e = 0; e < graph.num_events(); ++e)
    TIDEMARK_CHECK_VALUE(!ops.is_kept[e] || !ops.is_recomputed[e], "keep and recompute both name ",
                         describe(graph, e));
  if (wishes.recompute.empty()) return ops;
  const StepGraph kept = with_kept_ops(graph, ops);
  const Problem problem(kept);
  for (const std::string& pattern : wishes.recompute) check_recomputable(problem, pattern);
  return ops;
}

StepGraph with_kept_ops(StepGraph graph, const WishedOps& ops) {
  for (std::size_t e = 0; e < graph.events.size(); ++e)
    if (ops.is_kept[e] && graph.events[e].pinned.empty()) graph.events[e].pinned = "to be kept";
  return graph;
}

StepGraph with_free_ops(StepGraph graph, const WishedOps& ops) {
  for (std::size_t e = 0; e < graph.events.size(); ++e)
    if (ops.is_recomputed[e]) graph.events[e].cost_ns = 0;
  return graph;
}

Schedule with_recomputed_ops(const Problem& problem, const WishedOps& ops,
                             const Schedule& schedule) {
  return Dropper(problem, ops, schedule).run();
}

Nanoseconds cost_of_recomputed_ops(const Problem& problem, const WishedOps& ops) {
  Nanoseconds cost = 0;
  for (EventIndex e = 0; e < problem.graph().num_events(); ++e)
    if (ops.is_recomputed[e] && has_gap(problem, e)) cost += problem.graph().events[e].cost_ns;
  return cost;
}

}  // namespace tidemark
