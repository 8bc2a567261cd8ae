#include "tidemark/report/report.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "report/example_step.h"

namespace tidemark {
namespace {

std::vector<std::string> lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> result;
  for (std::string line; std::getline(in, line);) result.push_back(line);
  return result;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Report, SaysWhatThePlanPromises) {
  const Report report = make_report(example_step(), example_plan());

  EXPECT_TRUE(report.fits);
  EXPECT_EQ(report.budget_bytes, 1600);
  EXPECT_EQ(report.peak.bytes, 1530);
  EXPECT_DOUBLE_EQ(report.overhead, 0.25);
  EXPECT_EQ(report.num_dropped, 1);
  EXPECT_EQ(report.dropped_bytes, 1000);
  EXPECT_EQ(report.num_ops, 4);
}

TEST(Report, ComparesWithTheBestPossibleStepTime) {
  const Report report = make_report(example_step(), example_plan());

  EXPECT_DOUBLE_EQ(report.gap, 5000.0 / 4500.0 - 1.0);
}

TEST(Report, AttributesEveryByteOfThePeak) {
  const Report report = make_report(example_step(), example_plan());

  Bytes sum = report.peak.untouched_bytes + report.peak.workspace_bytes;
  for (Bytes bytes : report.peak.by_category) sum += bytes;
  EXPECT_EQ(sum, report.peak.bytes);
  EXPECT_EQ(report.peak.largest.front().value, 1);
  EXPECT_EQ(report.peak.by_scope.front(), (ScopeBytes{"net.0", 1000}));
}

TEST(Report, CountsWhatIsWrittenInPlaceOnceAsBlocks) {
  StepGraph graph = example_step();
  graph.events[1].in_place = {{1, 2}};  // relu over its input
  graph.values[2] = {.block = 1, .version = 1, .bytes = 1000, .category = Category::kActivation};

  const Report report = make_report(graph);

  EXPECT_EQ(report.pools[static_cast<int>(Category::kActivation)], (Pool{2000, 1000}));
  EXPECT_EQ(report.pools[static_cast<int>(Category::kParameter)], (Pool{100, 100}));
  EXPECT_TRUE(contains(to_text(report), "2.15 KiB of values, 1.18 KiB of them"));
}

TEST(Report, SaysWhatSharingAddressesSavesIfThereIsAnArena) {
  ReportOptions options;
  options.arena =
      ArenaBytes{.why_not = "", .block_bytes = 4096, .height = 1100, .lower_bound = 1000};

  const Report report = make_report(example_step(), options);

  EXPECT_TRUE(contains(to_text(report), "4.00 KiB of blocks lie in 1.07 KiB, at most 10.0 %"));
  EXPECT_EQ(nlohmann::json::parse(to_json(report))["arena"]["height"], 1100);
  EXPECT_TRUE(nlohmann::json::parse(to_json(make_report(example_step())))["arena"].is_null());
}

TEST(Report, SaysWhyAStepWasNotServed) {
  ReportOptions options;
  options.arena = ArenaBytes{
      .why_not = "it is too high", .block_bytes = 4096, .height = 1100, .lower_bound = 1000};

  const Report report = make_report(example_step(), options);

  EXPECT_TRUE(contains(to_text(report), "arena     none in the last step: it is too high\n"));
  EXPECT_FALSE(contains(to_text(report), "blocks lie in"));
  EXPECT_EQ(nlohmann::json::parse(to_json(report))["arena"]["why_not"], "it is too high");
}

TEST(Report, OfAGraphAloneShowsThePeakWithEverythingKept) {
  const Report report = make_report(example_step());

  EXPECT_FALSE(report.budget_bytes.has_value());
  EXPECT_EQ(report.peak.bytes, 1534);
  EXPECT_EQ(report.peak.event, 2);
  EXPECT_EQ(report.step_ns, 4000);
}

TEST(Report, CallsWorkspaceWhatNoValueAccountsFor) {
  StepGraph graph = example_step();
  graph.events[4].workspace_bytes = 5000;

  EXPECT_EQ(make_report(graph).peak.workspace_bytes, 5000);
}

TEST(Report, ShowsNoMoreValuesThanAskedFor) {
  ReportOptions options;
  options.max_scopes = 1;
  options.max_values = 2;

  const Report report = make_report(example_step(), options);

  EXPECT_EQ(report.peak.by_scope.size(), 1u);
  EXPECT_EQ(report.peak.largest.size(), 2u);
}

TEST(Report, RefusesAPlanThatNamesWhatTheGraphDoesNotHave) {
  Plan plan = example_plan();
  plan.actions[0].actions[0].target = 99;

  EXPECT_THROW(make_report(example_step(), plan), std::invalid_argument);
}

TEST(ReportText, AnswersInItsFirstThreeLinesAndEndsWithWhatToDo) {
  const auto text = lines(to_text(make_report(example_step(), example_plan())));

  EXPECT_TRUE(contains(text[0], "fits      yes"));
  EXPECT_TRUE(contains(text[1], "slower    25.0 %"));
  EXPECT_TRUE(contains(text[2], "at most 11.1 % above the best possible"));
  EXPECT_EQ(text.back().rfind("next: ", 0), 0u);
}

TEST(ReportText, SaysNoLoudlyAndNamesTheLeastBudget) {
  Plan plan = example_plan();
  plan.budget_bytes = 1000;
  plan.least_feasible_bytes = 2048;

  const std::string text = to_text(make_report(example_step(), plan));

  EXPECT_TRUE(contains(text, "fits      NO"));
  EXPECT_TRUE(contains(text, "raise the budget to 2.00 KiB"));
}

TEST(ReportText, ComparesWithNoBudgetWhereThereIsNoLimit) {
  Plan plan = example_plan();
  plan.budget_bytes = std::numeric_limits<Bytes>::max();

  EXPECT_TRUE(contains(to_text(make_report(example_step(), plan)), "peak 1.49 KiB, no limit set"));
}

TEST(ReportText, NamesOpModuleAndSourceLine) {
  const std::string text = to_text(make_report(example_step(), example_plan()));

  EXPECT_TRUE(contains(text, "at the peak: aten::relu in forward (net.1)"));
  EXPECT_TRUE(contains(text, "aten::mm at train.py:12"));
}

TEST(ReportText, CountsStepsAndComparesTheMeasuredPeak) {
  const ReportOptions options{.steps = StepCounts{2, 58, 0, 0}, .measured_peak_bytes = 1530};

  const std::string text = to_text(make_report(example_step(), example_plan(), options));

  EXPECT_TRUE(contains(text, "as predicted, to the byte"));
  EXPECT_TRUE(contains(text, "2 watched, 58 planned, 0 adapted, 0 diverged"));
}

TEST(ReportText, PointsAtDivergedSteps) {
  const ReportOptions options{.steps = StepCounts{2, 5, 0, 3}, .measured_peak_bytes = {}};

  const auto text = lines(to_text(make_report(example_step(), example_plan(), options)));

  EXPECT_TRUE(contains(text.back(), "3 steps did other ops"));

  const ReportOptions first{.steps = StepCounts{0, 8, 1, 1}, .measured_peak_bytes = {}};
  EXPECT_FALSE(
      contains(to_text(make_report(example_step(), example_plan(), first)), "did other ops"));
}

TEST(ReportText, CutsLongModulePaths) {
  StepGraph graph = example_step();
  graph.values[0].scope = std::string(200, 'x') + ".weight";
  graph.events[1].scope = std::string(200, 'y');

  for (const std::string& line : lines(to_text(make_report(graph, example_plan())))) {
    EXPECT_LE(line.size(), 100u) << line;
  }
}

TEST(ReportJson, HoldsEverythingInBytes) {
  const ReportOptions options{.steps = StepCounts{2, 58, 1, 0}, .measured_peak_bytes = 1530};

  const auto json =
      nlohmann::json::parse(to_json(make_report(example_step(), example_plan(), options)));

  EXPECT_EQ(json["peak_bytes"], 1530);
  EXPECT_EQ(json["peak"]["by_category"]["Activation"], 1000);
  EXPECT_EQ(json["steps"]["planned"], 58);
  EXPECT_EQ(json["measured_peak_bytes"], 1530);
  EXPECT_TRUE(json["least_feasible_bytes"].is_null());
}

}  // namespace
}  // namespace tidemark
