// Explanations for people and for programs.

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "tidemark/report/explain.h"

namespace tidemark {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostTrades = 8;

std::string place(const std::string& scope, const std::string& source) {
  if (scope.empty() || source.empty()) return scope + source;
  return scope + ", " + source;
}

std::string percent(Nanoseconds part, Nanoseconds whole) {
  return fmt::format(
      "{:.1f} %", whole > 0 ? 100 * static_cast<double>(part) / static_cast<double>(whole) : 0.0);
}

void write_trades(std::string_view title, const std::vector<Trade>& trades, std::string& text) {
  if (trades.empty()) return;
  fmt::format_to(std::back_inserter(text), "\n{}\n", title);
  for (std::size_t i = 0; i < trades.size() && i < kMostTrades; ++i) {
    const Trade& trade = trades[i];
    const double per_ms = trade.recompute_ns > 0 ? static_cast<double>(trade.dropped_bytes) * 1e6 /
                                                       static_cast<double>(trade.recompute_ns)
                                                 : 0;
    fmt::format_to(std::back_inserter(text), "  {:<40}{:>12} for {:>9}  {:>12} per ms\n",
                   trade.name, format_bytes(trade.dropped_bytes),
                   format_duration(trade.recompute_ns), format_bytes(static_cast<Bytes>(per_ms)));
  }
}

void write_next(const Explanation& why, std::string& text) {
  if (why.next.empty()) return;
  text += "\nmore memory\n";
  for (const BudgetStep& step : why.next)
    fmt::format_to(std::back_inserter(text), "  {:>12} ({}): step {} slower instead of {}\n",
                   format_bytes(step.budget_bytes),
                   fmt::format("+{}", format_bytes(step.budget_bytes - why.peak_bytes)),
                   percent(step.recompute_ns, why.step_ns), percent(why.recompute_ns, why.step_ns));
}

Json json_of(const std::vector<Trade>& trades) {
  Json list = Json::array();
  for (const Trade& trade : trades)
    list.push_back({{"name", trade.name},
                    {"dropped_bytes", trade.dropped_bytes},
                    {"recompute_ns", trade.recompute_ns},
                    {"num_replays", trade.num_replays}});
  return list;
}

Json json_of(const ValueStory& story) {
  return {{"value", story.value},
          {"fate", to_string(story.fate)},
          {"op", story.op},
          {"scope", story.scope},
          {"source", story.source},
          {"bytes", story.bytes},
          {"is_at_peak", story.is_at_peak},
          {"num_times", story.num_times},
          {"again_ns", story.again_ns},
          {"why", story.why}};
}

}  // namespace

std::string to_text(const Explanation& why) {
  std::string text = fmt::format(
      "peak      {} of {}, set by event {}: {}{}\n"
      "slower    {}: {} computed again; without a plan the peak is {}\n\n",
      format_bytes(why.peak_bytes), format_bytes(why.budget_bytes), why.peak_event, why.peak_op,
      why.peak_scope.empty() && why.peak_source.empty()
          ? ""
          : " (" + place(why.peak_scope, why.peak_source) + ")",
      percent(why.recompute_ns, why.step_ns), format_duration(why.recompute_ns),
      format_bytes(why.unplanned_peak_bytes));
  for (const ValueStory& story : why.values)
    fmt::format_to(std::back_inserter(text), "  {:<10} {:>10}{}  {} of {}: {}\n",
                   to_string(story.fate), format_bytes(story.bytes), story.is_at_peak ? "*" : " ",
                   story.op, place(story.scope, story.source), story.why);
  if (why.num_left_out > 0)
    fmt::format_to(std::back_inserter(text), "  and {} smaller values\n", why.num_left_out);
  text += "  * waits through the unplanned peak\n";
  write_trades("what more memory buys back first, by op", why.by_op, text);
  write_trades("by module", why.by_scope, text);
  write_next(why, text);
  return text;
}

std::string to_json(const Explanation& why) {
  Json values = Json::array();
  for (const ValueStory& story : why.values) values.push_back(json_of(story));
  Json next = Json::array();
  for (const BudgetStep& step : why.next)
    next.push_back({{"budget_bytes", step.budget_bytes}, {"recompute_ns", step.recompute_ns}});
  const Json result = {{"budget_bytes", why.budget_bytes},
                       {"peak_bytes", why.peak_bytes},
                       {"unplanned_peak_bytes", why.unplanned_peak_bytes},
                       {"step_ns", why.step_ns},
                       {"recompute_ns", why.recompute_ns},
                       {"peak_event", why.peak_event},
                       {"peak_op", why.peak_op},
                       {"peak_scope", why.peak_scope},
                       {"peak_source", why.peak_source},
                       {"values", values},
                       {"num_left_out", why.num_left_out},
                       {"by_op", json_of(why.by_op)},
                       {"by_scope", json_of(why.by_scope)},
                       {"next", next}};
  return result.dump(2);
}

}  // namespace tidemark
