#include "tidemark/graph/graph_json.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>

#include "graph/small_graph.h"
#include "tidemark/graph/json_file.h"

namespace tidemark {
namespace {

using testing::small_graph;

std::string complaint_about(std::string_view json) {
  try {
    graph_from_json(json);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

// Reads `json`; anything but a valid graph or std::invalid_argument fails the test.
bool is_read_or_refused(std::string_view json) {
  try {
    check(graph_from_json(json));
  } catch (const std::invalid_argument&) {
  }
  return true;
}

StepGraph full_graph() {
  StepGraph graph = small_graph();
  graph.device = "cuda:0";
  graph.recorded_by = "tidemark \"quoted\" \n \xC3\xA9";
  graph.is_estimate = true;
  graph.entry.other_bytes = 12;
  graph.values[4].gc_held = true;
  graph.events[0].scope = "net.0";
  graph.events[0].source = "train.py:3";
  graph.events[0].rng = true;
  graph.events[0].frees = {1};
  graph.events[2].pinned = "data-dependent shape";
  return graph;
}

constexpr std::string_view kForeign = R"({"version":1,
"events":[
{"name":"conv","cost_ns":10,"inputs":[0,1],"outputs":[2]},
{"name":"relu","cost_ns":2,"inputs":[2],"outputs":[3]},
{"name":"loss","cost_ns":1,"inputs":[3],"outputs":[4]},
{"name":"conv_backward","cost_ns":20,"inputs":[4,2,1],"outputs":[5]}],
"values":[{"bytes":8},{"bytes":9},{"bytes":10},{"bytes":11},{"bytes":12},{"bytes":13}]})";

TEST(GraphJson, ComesBackAsItWas) {
  for (const StepGraph& graph : {StepGraph(), small_graph(), full_graph()}) {
    EXPECT_EQ(graph_from_json(to_json(graph)), graph);
  }
}

TEST(GraphJson, IsTheSameBytesEveryTime) {
  const std::string json = to_json(full_graph());
  EXPECT_EQ(to_json(full_graph()), json);
  EXPECT_EQ(to_json(graph_from_json(json)), json);
}

TEST(GraphJson, HasOneLinePerEventAndValue) {
  const StepGraph graph = small_graph();
  const std::string json = to_json(graph);
  const auto lines = std::count(json.begin(), json.end(), '\n');
  EXPECT_EQ(lines, 7 + graph.num_events() + graph.num_values());
  EXPECT_NE(json.find("\n{\"name\":\"aten::sum\",\"cost_ns\":2,\"inputs\":[3],\"outputs\":[4]},\n"),
            std::string::npos);
}

TEST(GraphJson, OfAnotherToolHasOneHoldPerUse) {
  const StepGraph graph = graph_from_json(kForeign);
  EXPECT_FALSE(graph.has_runtime_actions);
  EXPECT_EQ(graph.values[2].producer, 0);
  EXPECT_EQ(graph.values[2].holds, (std::vector<Interval>{{0, 1}, {1, 2}, {3, 4}}));
  EXPECT_EQ(graph.values[3].holds, (std::vector<Interval>{{1, 2}, {2, 3}}));
}

TEST(GraphJson, OfAnotherToolTakesUnproducedValuesForSources) {
  const StepGraph graph = graph_from_json(kForeign);
  EXPECT_EQ(graph.values[0].producer, kNone);
  EXPECT_EQ(graph.values[0].holds, (std::vector<Interval>{{0, 1}}));
  EXPECT_EQ(graph.values[1].holds, (std::vector<Interval>{{0, 4}}));
  EXPECT_EQ(graph.entry.blocks, (std::vector<BlockIndex>{0, 1}));
  EXPECT_EQ(graph.entry.bytes_by_category[static_cast<int>(Category::kOther)], 17);
}

TEST(GraphJson, OfAnotherToolKeepsPersistentAndUnusedSourcesToTheEnd) {
  const StepGraph graph = graph_from_json(
      R"({"version":1,"events":[{"name":"a","inputs":[0],"outputs":[2]},{"name":"b","outputs":[3]}],)"
      R"("values":[{"bytes":1,"persistent":true},{"bytes":1},{"bytes":1,"persistent":true},{"bytes":1}]})");
  EXPECT_EQ(graph.values[0].holds.back().end, 2);
  EXPECT_EQ(graph.values[1].holds.back().end, 2);
  EXPECT_EQ(graph.values[2].holds.back().end, 2);
  EXPECT_EQ(graph.values[3].holds, (std::vector<Interval>{{1, 2}}));
}

// The complaint about a graph of another tool with these events and two values of one byte.
std::string complaint_about_events(const std::string& events) {
  return complaint_about(R"({"version":1,"events":[)" + events +
                         R"(],"values":[{"bytes":1},{"bytes":1}]})");
}

TEST(GraphJson, OfAnotherToolWithACycleSaysWhereItIs) {
  EXPECT_NE(complaint_about_events(R"({"name":"a","inputs":[1],"outputs":[0]},)"
                                   R"({"name":"b","inputs":[0],"outputs":[1]})")
                .find("event 0: reads value 1 before event 1 makes it"),
            std::string::npos);
}

TEST(GraphJson, OfAnotherToolWithDuplicatesSaysWhereTheyAre) {
  EXPECT_NE(complaint_about_events(R"({"name":"a","inputs":[0,0],"outputs":[1]})")
                .find("event 0: inputs names value 0 twice"),
            std::string::npos);
  EXPECT_NE(complaint_about_events(R"({"name":"a","outputs":[1]},{"name":"b","outputs":[1]})")
                .find("event 1: makes value 1, which event 0 made already"),
            std::string::npos);
  EXPECT_NE(complaint_about_events(R"({"name":"a","inputs":[7],"outputs":[1]})")
                .find("event 0: inputs names value 7; the graph has 2"),
            std::string::npos);
}

TEST(GraphJson, DerivesOverwritingFromInPlace) {
  const StepGraph graph =
      graph_from_json(R"({"version":1,"events":[{"name":"a","outputs":[0]},)"
                      R"({"name":"b","inputs":[0],"outputs":[1],"in_place":[[0,1]]}],)"
                      R"("values":[{"bytes":1},{"block":0,"version":1,"bytes":1}]})");
  EXPECT_EQ(graph.values[0].overwritten_at, 1);
}

TEST(GraphJson, SaysWhereGarbageIs) {
  EXPECT_EQ(complaint_about("hello"),
            "step graph: line 1, column 1: expected an object, found 'h'");
  EXPECT_EQ(complaint_about(""),
            "step graph: line 1, column 1: expected an object, found the end of the text");
  EXPECT_EQ(complaint_about("{\"version\":1,\n\"values\":[{\"bytes\":1},{\"bytes\":-1}]}"),
            "step graph: line 2, column 32, values[1].bytes: -1 is negative, expected >= 0");
  EXPECT_EQ(complaint_about("{\"events\":[{\"inputs\":[0,2147483648]}]}"),
            "step graph: line 1, column 25, events[0].inputs[1]: 2147483648 does not fit into 32 "
            "bits");
}

TEST(GraphJson, NamesTheChoicesOfAnUnknownWord) {
  EXPECT_EQ(complaint_about("{\"events\":[{\"kind\":\"opp\"}]}"),
            "step graph: line 1, column 20, events[0].kind: \"opp\" is not one of \"op\", "
            "\"unpack\", \"host\"");
}

TEST(GraphJson, NamesWhatIsMissing) {
  EXPECT_NE(complaint_about("{\"events\":[],\"values\":[]}").find("\"version\" is missing"),
            std::string::npos);
  EXPECT_NE(complaint_about("{\"version\":1,\"values\":[]}").find("\"events\" is missing"),
            std::string::npos);
  EXPECT_NE(complaint_about("{\"version\":1,\"events\":[]}").find("\"values\" is missing"),
            std::string::npos);
  EXPECT_NE(complaint_about("{\"version\":1,\"events\":[],\"values\":[{}]}").find("no \"bytes\""),
            std::string::npos);
}

TEST(GraphJson, RefusesOtherVersions) {
  EXPECT_NE(complaint_about("{\"version\":2}").find("version 2 is not known here, expected 1"),
            std::string::npos);
}

TEST(GraphJson, RefusesUnknownKeysAndIds) {
  EXPECT_NE(complaint_about("{\"nodes\":[]}").find("unknown key \"nodes\""), std::string::npos);
  EXPECT_EQ(complaint_about(R"({"version":1,"events":[{"name":"a","inputs":[3]}],"values":[]})"),
            "step graph: event 0: inputs names value 3; the graph has 0");
}

TEST(GraphJson, RefusesAHoldOfThreeNumbers) {
  EXPECT_NE(complaint_about(R"({"values":[{"bytes":1,"holds":[[0,1,2]]}]})").find("expected 2"),
            std::string::npos);
}

TEST(GraphJson, RefusesHoldsForSomeValuesOnly) {
  std::string json = to_json(small_graph());
  const std::string hold = ",\"holds\":[[2,6]]";
  json.erase(json.find(hold), hold.size());
  EXPECT_NE(complaint_about(json).find("value 4: has no hold"), std::string::npos);
}

TEST(GraphJson, CutOffAnywhereIsRefused) {
  const std::string json = to_json(full_graph());
  for (std::size_t length = 0; length + 2 < json.size(); ++length) {
    EXPECT_NE(complaint_about(json.substr(0, length)), "") << "cut at " << length;
  }
}

TEST(GraphJson, FlippedBytesNeverCrash) {
  const std::string whole = to_json(full_graph());
  std::mt19937 random(20261121);
  for (int round = 0; round < 20000; ++round) {
    std::string json = whole;
    const int num_flips = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < num_flips; ++i) {
      json[random() % json.size()] = static_cast<char>(random() & 0xFF);
    }
    ASSERT_TRUE(is_read_or_refused(json));
  }
}

TEST(GraphJson, ReplacedNumbersNeverCrash) {
  const std::string whole = to_json(full_graph());
  const char* numbers[] = {"-1", "0", "1", "7", "2147483647", "2147483648", "9223372036854775807"};
  std::mt19937 random(7);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    if (whole[at] < '0' || whole[at] > '9') continue;
    std::string json = whole;
    json.replace(at, 1, numbers[random() % std::size(numbers)]);
    ASSERT_TRUE(is_read_or_refused(json));
  }
}

TEST(GraphJson, SavedAndLoadedIsTheSame) {
  const std::string path = ::testing::TempDir() + "tidemark_graph_json_test.json";
  save_graph(full_graph(), path);
  EXPECT_EQ(load_graph(path), full_graph());
  std::remove(path.c_str());
}

TEST(GraphJson, FilesMustEndInJson) {
  EXPECT_THROW(save_graph(small_graph(), "graph.txt"), std::invalid_argument);
  EXPECT_THROW(load_graph(".json"), std::invalid_argument);
}

TEST(GraphJson, ErrorsOfAFileNameIt) {
  const std::string path = ::testing::TempDir() + "tidemark_broken_graph.json";
  write_json_file(path, "{", "step graph");
  try {
    load_graph(path);
    FAIL() << "loaded a broken file";
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(std::string(error.what()).find(path), 0u) << error.what();
  }
  std::remove(path.c_str());
}

TEST(GraphJson, AFileThatIsNotThereSaysSo) {
  try {
    load_graph("/nowhere/graph.json");
    FAIL() << "loaded a file that is not there";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("No such file"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace tidemark
