// The report for people. The first three lines answer "does it fit, how slow, how sure"; the last
// line says what to do next.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "tidemark/report/report.h"

namespace tidemark {
namespace {

constexpr int kBarWidth = 32;
constexpr int kNameWidth = 44;

class Text {
 public:
  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    while (!text_.empty() && text_.back() == ' ') text_.pop_back();
    text_ += '\n';
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

double share_of(Bytes part, Bytes whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

// A long module path keeps its end, which tells modules apart.
std::string shorten(const std::string& name) {
  if (name.size() <= kNameWidth) return name;
  return "..." + name.substr(name.size() - (kNameWidth - 3));
}

std::string place(const std::string& scope, const std::string& source) {
  if (scope.empty()) return source;
  return source.empty() ? scope : scope + ", " + source;
}

void write_fit(const Report& report, Text& text) {
  if (!report.budget_bytes) {
    text.line("fits      peak {} with everything kept", format_bytes(report.unplanned_peak_bytes));
    return;
  }
  if (*report.budget_bytes == kUnlimited) {
    text.line("fits      yes: peak {}, no limit set", format_bytes(report.peak.bytes));
    return;
  }
  text.line("fits      {}: {} peak {} ({} of the budget of {}); {} without a plan",
            report.fits ? "yes" : "NO", report.measured_peak_bytes ? "predicted" : "promised",
            format_bytes(report.peak.bytes),
            percent(share_of(report.peak.bytes, *report.budget_bytes)),
            format_bytes(*report.budget_bytes), format_bytes(report.unplanned_peak_bytes));
}

void write_slowdown(const Report& report, Text& text) {
  if (!report.budget_bytes) {
    text.line("slower    nothing is computed again; the ops of the step take {}",
              format_duration(report.step_ns));
    return;
  }
  text.line("slower    {}: {} of ops computed again, on top of {}", percent(report.overhead),
            format_duration(report.recompute_ns), format_duration(report.step_ns));
}

void write_certainty(const Report& report, Text& text) {
  const char* origin = report.is_estimate ? "estimated: costs and workspace are modelled"
                                          : "recorded on this kind of device";
  if (!report.budget_bytes) {
    text.line("sure      {}", origin);
    return;
  }
  text.line("sure      step time at most {} above the best possible; {}", percent(report.gap),
            origin);
}

void write_limits(const Report& report, Text& text) {
  if (!report.budget_bytes) return;
  std::string least = report.least_feasible_bytes
                          ? "; least feasible " + format_bytes(*report.least_feasible_bytes)
                          : "";
  text.line("limits    no plan runs below {}{}", format_bytes(report.floor_bytes), least);
}

void write_wishes(const Wishes& wishes, Text& text) {
  if (wishes.is_empty()) return;
  std::string all;
  const auto add = [&all](std::string_view what, const std::vector<std::string>& patterns) {
    if (patterns.empty()) return;
    if (!all.empty()) all += "; ";
    all += fmt::format("{} {}", what, fmt::join(patterns, ", "));
  };
  add("keep", wishes.keep);
  add("recompute", wishes.recompute);
  text.line("as asked  {}", all);
}

void write_run(const Report& report, Text& text) {
  if (report.measured_peak_bytes) {
    const Bytes difference = *report.measured_peak_bytes - report.peak.bytes;
    const bool is_watched = report.steps && report.steps->watched > 0;
    text.line("measured  peak {} over all steps ({})", format_bytes(*report.measured_peak_bytes),
              difference == 0
                  ? "as predicted, to the byte"
                  : fmt::format("{:+d} B against the plan{}", difference,
                                is_watched ? ", which watched steps do not follow" : ""));
  }
  if (report.steps) {
    text.line("steps     {} watched, {} planned, {} adapted, {} diverged", report.steps->watched,
              report.steps->planned, report.steps->adapted, report.steps->diverged);
  }
}

void write_gradients(const Sharing& sharing, Text& text) {
  if (sharing.derivative_bytes > 0) {
    text.line("backward  {} of gradients in between, {} at once; written in place: peak {}",
              format_bytes(sharing.derivative_bytes), format_bytes(sharing.live_derivative_bytes),
              format_bytes(sharing.in_place_peak_bytes));
  }
  if (sharing.gradient_bytes > 0) {
    text.line("gradients {}; used up by optimizer_in_backward: peak {}, by modules {}",
              format_bytes(sharing.gradient_bytes), format_bytes(sharing.by_parameter_peak_bytes),
              format_bytes(sharing.by_module_peak_bytes));
  }
}

void write_sharing(const Report& report, Text& text) {
  Pool all;
  for (const Pool& pool : report.pools) {
    all.value_bytes += pool.value_bytes;
    all.block_bytes += pool.block_bytes;
  }
  text.line("shared    {} of values, {} of them in blocks of their own (the rest in place)",
            format_bytes(all.value_bytes), format_bytes(all.block_bytes));
  write_gradients(report.sharing, text);
  if (!report.arena) return;
  if (!report.arena->why_not.empty()) {
    text.line("arena     none in the last step: {}", report.arena->why_not);
    return;
  }
  text.line("arena     {} of blocks lie in {}, at most {} above the least possible",
            format_bytes(report.arena->block_bytes), format_bytes(report.arena->height),
            percent(report.arena->gap()));
}

void write_category(std::string_view name, Bytes bytes, Bytes whole, Text& text) {
  if (bytes == 0) return;
  const auto length = std::max(std::lround(share_of(bytes, whole) * kBarWidth), 0L);
  text.line("  {:<12}{:>12}  {}", name, format_bytes(bytes), std::string(length, '#'));
}

void write_categories(const Peak& peak, Text& text) {
  for (int i = 0; i < kNumCategories; ++i) {
    write_category(to_string(static_cast<Category>(i)),
                   peak.by_category[static_cast<std::size_t>(i)], peak.bytes, text);
  }
  write_category("untouched", peak.untouched_bytes, peak.bytes, text);
  write_category("workspace", peak.workspace_bytes, peak.bytes, text);
}

void write_scopes(const Peak& peak, Text& text) {
  if (peak.by_scope.empty()) return;
  text.line("by module");
  for (const ScopeBytes& scope : peak.by_scope) {
    text.line("  {:<{}}{:>12}", shorten(scope.scope), kNameWidth, format_bytes(scope.bytes));
  }
}

void write_largest(const Peak& peak, Text& text) {
  if (peak.largest.empty()) return;
  text.line("largest values");
  for (const PeakValue& value : peak.largest) {
    text.line("  {:<{}}{:>12}  {}{}{}", shorten(value.scope), kNameWidth, format_bytes(value.bytes),
              value.op.empty() ? std::string(to_string(value.category)) : value.op,
              value.source.empty() ? "" : " at " + value.source,
              value.is_restored ? " (computed again)" : "");
  }
}

void write_peak(const Peak& peak, Text& text) {
  const std::string where = place(shorten(peak.scope), peak.source);
  text.line("");
  text.line("at the peak: {} in {}{}", peak.op.empty() ? "(no event)" : peak.op,
            peak.phase.empty() ? "the step" : peak.phase, where.empty() ? "" : " (" + where + ")");
  write_categories(peak, text);
  write_scopes(peak, text);
  write_largest(peak, text);
}

void write_work(const Report& report, Text& text) {
  text.line("");
  text.line(
      "{} ops, {} values; {} values ({}) dropped for a time, {} ops computed again, {} ops "
      "pinned",
      report.num_ops, report.num_values, report.num_dropped, format_bytes(report.dropped_bytes),
      report.num_replays, report.num_pinned);
}

}  // namespace

std::string to_text(const Report& report) {
  Text text;
  write_fit(report, text);
  write_slowdown(report, text);
  write_certainty(report, text);
  write_limits(report, text);
  write_wishes(report.wishes, text);
  write_run(report, text);
  write_sharing(report, text);
  write_peak(report.peak, text);
  write_work(report, text);
  text.line("next: {}", report.next);
  return text.take();
}

}  // namespace tidemark
