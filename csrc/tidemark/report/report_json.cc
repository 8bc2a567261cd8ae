// The report for programs: everything the text says, in bytes and nanoseconds.

#include <nlohmann/json.hpp>
#include <string>

#include "tidemark/report/report.h"

namespace tidemark {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json categories(const Peak& peak) {
  Json result = Json::object();
  for (int i = 0; i < kNumCategories; ++i) {
    result[std::string(to_string(static_cast<Category>(i)))] =
        peak.by_category[static_cast<std::size_t>(i)];
  }
  return result;
}

Json json_of(const PeakValue& value) {
  return {{"value", value.value},
          {"bytes", value.bytes},
          {"category", to_string(value.category)},
          {"op", value.op},
          {"scope", value.scope},
          {"source", value.source},
          {"is_restored", value.is_restored}};
}

Json json_of(const Peak& peak) {
  Json scopes = Json::array();
  for (const ScopeBytes& scope : peak.by_scope) {
    scopes.push_back({{"scope", scope.scope}, {"bytes", scope.bytes}});
  }
  Json largest = Json::array();
  for (const PeakValue& value : peak.largest) largest.push_back(json_of(value));
  return {{"bytes", peak.bytes},
          {"event", peak.event},
          {"op", peak.op},
          {"phase", peak.phase},
          {"scope", peak.scope},
          {"source", peak.source},
          {"by_category", categories(peak)},
          {"untouched_bytes", peak.untouched_bytes},
          {"workspace_bytes", peak.workspace_bytes},
          {"by_scope", std::move(scopes)},
          {"largest", std::move(largest)}};
}

Json json_of(const std::array<Pool, kNumCategories>& pools) {
  Json result = Json::object();
  for (int i = 0; i < kNumCategories; ++i) {
    const Pool& pool = pools[static_cast<std::size_t>(i)];
    result[std::string(to_string(static_cast<Category>(i)))] = {{"value_bytes", pool.value_bytes},
                                                                {"block_bytes", pool.block_bytes}};
  }
  return result;
}

Json json_of(const Sharing& sharing) {
  return {{"derivative_bytes", sharing.derivative_bytes},
          {"live_derivative_bytes", sharing.live_derivative_bytes},
          {"gradient_bytes", sharing.gradient_bytes},
          {"in_place_peak_bytes", sharing.in_place_peak_bytes},
          {"by_module_peak_bytes", sharing.by_module_peak_bytes},
          {"by_parameter_peak_bytes", sharing.by_parameter_peak_bytes}};
}

Json json_of(const std::optional<ArenaBytes>& arena) {
  if (!arena) return nullptr;
  return {{"why_not", arena->why_not},
          {"block_bytes", arena->block_bytes},
          {"height", arena->height},
          {"lower_bound", arena->lower_bound},
          {"gap", arena->gap()}};
}

Json json_of(const std::optional<StepCounts>& steps) {
  if (!steps) return nullptr;
  return {{"watched", steps->watched},
          {"planned", steps->planned},
          {"adapted", steps->adapted},
          {"diverged", steps->diverged}};
}

}  // namespace

std::string to_json(const Report& report) {
  const Json result = {{"fits", report.fits},
                       {"budget_bytes", or_null(report.budget_bytes)},
                       {"peak_bytes", report.peak.bytes},
                       {"unplanned_peak_bytes", report.unplanned_peak_bytes},
                       {"floor_bytes", report.floor_bytes},
                       {"least_feasible_bytes", or_null(report.least_feasible_bytes)},
                       {"step_ns", report.step_ns},
                       {"recompute_ns", report.recompute_ns},
                       {"overhead", report.overhead},
                       {"lower_bound_ns", report.lower_bound_ns},
                       {"gap", report.gap},
                       {"is_estimate", report.is_estimate},
                       {"policy", report.policy},
                       {"keep", report.wishes.keep},
                       {"recompute", report.wishes.recompute},
                       {"num_ops", report.num_ops},
                       {"num_values", report.num_values},
                       {"num_replays", report.num_replays},
                       {"num_dropped", report.num_dropped},
                       {"dropped_bytes", report.dropped_bytes},
                       {"num_pinned", report.num_pinned},
                       {"peak", json_of(report.peak)},
                       {"pools", json_of(report.pools)},
                       {"sharing", json_of(report.sharing)},
                       {"arena", json_of(report.arena)},
                       {"steps", json_of(report.steps)},
                       {"measured_peak_bytes", or_null(report.measured_peak_bytes)},
                       {"next", report.next}};
  return result.dump(2);
}

}  // namespace tidemark
