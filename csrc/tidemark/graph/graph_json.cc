#include "tidemark/graph/graph_json.h"

#include <optional>
#include <stdexcept>
#include <utility>

#include "tidemark/graph/completion.h"
#include "tidemark/graph/graph_json_impl.h"
#include "tidemark/graph/json_file.h"

namespace tidemark {
namespace {

constexpr std::string_view kEventKinds[] = {"op", "unpack", "host"};
constexpr std::string_view kPhases[] = {"forward", "backward", "optimizer", "other"};
constexpr std::string_view kCategories[] = {"Parameter", "Buffer",   "Gradient", "Activation",
                                            "Temp",      "Optstate", "Other"};

// What a file says, before what it leaves out is filled in.
struct Document {
  StepGraph graph;
  int version = 0;
  bool has_events = false;
  bool has_values = false;
  bool has_entry = false;
  bool has_holds = false;
  std::optional<bool> has_runtime_actions;
};

struct ValueRecord {
  Value value;
  bool has_holds = false;
};

// Writing ---------------------------------------------------------------------------------------

template <typename T, typename WriteItem>
void put_list(JsonWriter& out, std::string_view key, const std::vector<T>& list, WriteItem write) {
  if (list.empty()) return;
  out.key(key);
  out.begin_array();
  for (const T& item : list) write(item);
  out.end_array();
}

void write_numbers(JsonWriter& out, std::initializer_list<std::int64_t> numbers) {
  out.begin_array();
  for (const std::int64_t number : numbers) out.write(number);
  out.end_array();
}

void write_event(JsonWriter& out, const Event& event) {
  out.begin_object();
  if (event.kind != EventKind::kOp) out.put_text("kind", to_string(event.kind));
  out.put_text("name", event.name);
  if (event.phase != Phase::kForward) out.put_text("phase", to_string(event.phase));
  out.put_text("scope", event.scope);
  out.put_text("source", event.source);
  out.put_int("cost_ns", event.cost_ns);
  out.put_int("workspace_bytes", event.workspace_bytes);
  out.put_ints("inputs", event.inputs);
  out.put_ints("outputs", event.outputs);
  const auto write_pair = [&out](const InPlace& w) { write_numbers(out, {w.input, w.output}); };
  put_list(out, "in_place", event.in_place, write_pair);
  put_list(out, "replays_in_place", event.replays_in_place, write_pair);
  out.put_ints("frees", event.frees);
  out.put_texts("shapes", event.shapes);
  out.put_text("pinned", event.pinned);
  out.put_flag("rng", event.rng);
  out.put_ints("handles", event.handles);
  out.put_ints("values", event.values);
  out.end_object();
}

void write_value(JsonWriter& out, const Value& value) {
  out.begin_object();
  out.put_int("block", value.block, kNone);
  out.put_int("version", value.version);
  out.put_int("bytes", value.bytes, kNone);
  if (value.category != Category::kOther) out.put_text("category", to_string(value.category));
  out.put_int("producer", value.producer, kNone);
  put_list(out, "holds", value.holds, [&out](const Interval& h) {
    write_numbers(out, {h.begin, h.end});
  });
  put_list(out, "handles", value.handles, [&out](const Handle& h) {
    write_numbers(out, {h.number, h.packed_at, h.released_at});
  });
  out.put_int("overwritten_at", value.overwritten_at, kNone);
  out.put_flag("persistent", value.persistent);
  out.put_flag("gc_held", value.gc_held);
  out.put_text("scope", value.scope);
  out.end_object();
}

// Reading ---------------------------------------------------------------------------------------

std::vector<InPlace> read_in_place(JsonReader& in) {
  std::vector<InPlace> pairs;
  in.read_array([&] {
    const auto [input, output] = read_tuple<2>(in);
    pairs.push_back({input, output});
  });
  return pairs;
}

void read_holds(JsonReader& in, ValueRecord& record) {
  record.has_holds = true;
  in.read_array([&] {
    const auto [begin, end] = read_tuple<2>(in);
    record.value.holds.push_back({begin, end});
  });
}

void read_handles(JsonReader& in, ValueRecord& record) {
  in.read_array([&] {
    const auto [number, packed_at, released_at] = read_tuple<3>(in);
    record.value.handles.push_back({number, packed_at, released_at});
  });
}

constexpr Field<Event> kEventFields[] = {
    {"kind", [](auto& in, Event& e) { e.kind = EventKind(in.read_choice(kEventKinds)); }},
    {"name", [](auto& in, Event& e) { e.name = in.read_string(); }},
    {"phase", [](auto& in, Event& e) { e.phase = Phase(in.read_choice(kPhases)); }},
    {"scope", [](auto& in, Event& e) { e.scope = in.read_string(); }},
    {"source", [](auto& in, Event& e) { e.source = in.read_string(); }},
    {"cost_ns", [](auto& in, Event& e) { e.cost_ns = in.read_count(); }},
    {"workspace_bytes", [](auto& in, Event& e) { e.workspace_bytes = in.read_count(); }},
    {"inputs", [](auto& in, Event& e) { e.inputs = read_ints(in); }},
    {"outputs", [](auto& in, Event& e) { e.outputs = read_ints(in); }},
    {"in_place", [](auto& in, Event& e) { e.in_place = read_in_place(in); }},
    {"replays_in_place", [](auto& in, Event& e) { e.replays_in_place = read_in_place(in); }},
    {"frees", [](auto& in, Event& e) { e.frees = read_ints(in); }},
    {"shapes", [](auto& in, Event& e) { e.shapes = read_texts(in); }},
    {"pinned", [](auto& in, Event& e) { e.pinned = in.read_string(); }},
    {"rng", [](auto& in, Event& e) { e.rng = in.read_bool(); }},
    {"handles", [](auto& in, Event& e) { e.handles = read_ints(in); }},
    {"values", [](auto& in, Event& e) { e.values = read_ints(in); }},
};

constexpr Field<ValueRecord> kValueFields[] = {
    {"block", [](auto& in, ValueRecord& r) { r.value.block = read_index(in); }},
    {"version", [](auto& in, ValueRecord& r) { r.value.version = read_index(in); }},
    {"bytes", [](auto& in, ValueRecord& r) { r.value.bytes = in.read_count(); }},
    {"category",
     [](auto& in, ValueRecord& r) { r.value.category = Category(in.read_choice(kCategories)); }},
    {"producer", [](auto& in, ValueRecord& r) { r.value.producer = read_index(in); }},
    {"holds", [](auto& in, ValueRecord& r) { read_holds(in, r); }},
    {"handles", [](auto& in, ValueRecord& r) { read_handles(in, r); }},
    {"overwritten_at", [](auto& in, ValueRecord& r) { r.value.overwritten_at = read_index(in); }},
    {"persistent", [](auto& in, ValueRecord& r) { r.value.persistent = in.read_bool(); }},
    {"gc_held", [](auto& in, ValueRecord& r) { r.value.gc_held = in.read_bool(); }},
    {"scope", [](auto& in, ValueRecord& r) { r.value.scope = in.read_string(); }},
};

void read_events(JsonReader& in, Document& document) {
  document.has_events = true;
  in.read_array([&] { in.read_object<Event>(kEventFields, document.graph.events.emplace_back()); });
}

void read_values(JsonReader& in, Document& document) {
  document.has_values = true;
  in.read_array([&] {
    ValueRecord record;
    record.value.block = static_cast<BlockIndex>(document.graph.values.size());
    record.value.bytes = kNone;
    in.read_object<ValueRecord>(kValueFields, record);
    if (record.value.bytes == kNone) in.fail("the value has no \"bytes\"");
    document.has_holds |= record.has_holds;
    document.graph.values.push_back(std::move(record.value));
  });
}

using Sizes = std::vector<Bytes>;  // in the order of kCategories

constexpr Field<Sizes> kSizeFields[] = {
    {"Parameter", [](auto& in, Sizes& s) { s[0] = in.read_count(); }},
    {"Buffer", [](auto& in, Sizes& s) { s[1] = in.read_count(); }},
    {"Gradient", [](auto& in, Sizes& s) { s[2] = in.read_count(); }},
    {"Activation", [](auto& in, Sizes& s) { s[3] = in.read_count(); }},
    {"Temp", [](auto& in, Sizes& s) { s[4] = in.read_count(); }},
    {"Optstate", [](auto& in, Sizes& s) { s[5] = in.read_count(); }},
    {"Other", [](auto& in, Sizes& s) { s[6] = in.read_count(); }},
};

constexpr Field<Entry> kEntryFields[] = {
    {"bytes_by_category",
     [](auto& in, Entry& e) { in.template read_object<Sizes>(kSizeFields, e.bytes_by_category); }},
    {"other_bytes", [](auto& in, Entry& e) { e.other_bytes = in.read_count(); }},
    {"blocks", [](auto& in, Entry& e) { e.blocks = read_ints(in); }},
};

constexpr Field<Document> kDocumentFields[] = {
    {"version", [](auto& in, Document& d) { read_version(in, StepGraph::kVersion, d.version); }},
    {"device", [](auto& in, Document& d) { d.graph.device = in.read_string(); }},
    {"recorded_by", [](auto& in, Document& d) { d.graph.recorded_by = in.read_string(); }},
    {"is_estimate", [](auto& in, Document& d) { d.graph.is_estimate = in.read_bool(); }},
    {"has_runtime_actions", [](auto& in, Document& d) { d.has_runtime_actions = in.read_bool(); }},
    {"entry",
     [](auto& in, Document& d) {
       d.has_entry = true;
       read_entry(in, d.graph.entry);
     }},
    {"events", [](auto& in, Document& d) { read_events(in, d); }},
    {"values", [](auto& in, Document& d) { read_values(in, d); }},
};

// Fills producers and overwriting events that the file leaves out.
void complete_producers(StepGraph& graph) {
  const auto fill = [&graph](ValueIndex v, EventIndex e, EventIndex Value::*field) {
    if (v < 0 || v >= graph.num_values()) return;  // check() names it
    EventIndex& event = graph.values[static_cast<std::size_t>(v)].*field;
    if (event == kNone) event = e;
  };
  for (EventIndex e = 0; e < graph.num_events(); ++e) {
    const Event& event = graph.events[static_cast<std::size_t>(e)];
    for (ValueIndex v : event.outputs) fill(v, e, &Value::producer);
    for (const InPlace& write : event.in_place) fill(write.input, e, &Value::overwritten_at);
  }
}

void require(bool is_there, std::string_view key) {
  if (is_there) return;
  throw std::invalid_argument("step graph: the key \"" + std::string(key) + "\" is missing");
}

StepGraph complete(Document document) {
  require(document.version != 0, "version");
  require(document.has_events, "events");
  require(document.has_values, "values");
  StepGraph graph = std::move(document.graph);
  complete_producers(graph);
  graph.has_runtime_actions = document.has_runtime_actions.value_or(document.has_holds);
  // A graph with unpacks needs observed holds; check() says which are missing.
  if (!graph.has_runtime_actions && !document.has_holds) complete_holds(graph);
  if (!document.has_entry) complete_entry(graph);
  return graph;
}

}  // namespace

void write_entry(JsonWriter& out, const Entry& entry) {
  out.begin_object();
  out.key("bytes_by_category");
  out.begin_object();
  for (std::size_t c = 0; c < entry.bytes_by_category.size() && c < kNumCategories; ++c) {
    out.put_int(kCategories[c], entry.bytes_by_category[c]);
  }
  out.end_object();
  out.put_int("other_bytes", entry.other_bytes);
  out.put_ints("blocks", entry.blocks);
  out.end_object();
}

void read_entry(JsonReader& in, Entry& entry) { in.read_object<Entry>(kEntryFields, entry); }

void read_version(JsonReader& in, int known, int& version) {
  version = in.read_int32();
  if (version != known) {
    in.fail("version " + std::to_string(version) + " is not known here, expected " +
            std::to_string(known));
  }
}

std::vector<std::int32_t> read_ints(JsonReader& in) {
  std::vector<std::int32_t> numbers;
  in.read_array([&] { numbers.push_back(read_index(in)); });
  return numbers;
}

std::vector<std::string> read_texts(JsonReader& in) {
  std::vector<std::string> texts;
  in.read_array([&] { texts.push_back(in.read_string()); });
  return texts;
}

std::int32_t read_index(JsonReader& in) {
  const std::int32_t index = in.read_int32();
  if (index < 0) in.fail(std::to_string(index) + " is negative, expected >= 0");
  return index;
}

std::string to_json(const StepGraph& graph) {
  JsonWriter out;
  out.begin_object();
  out.put_int("version", StepGraph::kVersion);
  out.key("device");
  out.write(std::string_view(graph.device));
  out.put_text("recorded_by", graph.recorded_by);
  out.put_flag("is_estimate", graph.is_estimate);
  out.key("has_runtime_actions");
  out.write(graph.has_runtime_actions);
  out.new_line();
  out.key("entry");
  write_entry(out, graph.entry);
  write_lines(out, "events", graph.events, write_event);
  write_lines(out, "values", graph.values, write_value);
  out.new_line();
  out.end_object();
  return out.take() + "\n";
}

StepGraph graph_from_json(std::string_view json) {
  JsonReader in(json, "step graph");
  Document document;
  in.read_object<Document>(kDocumentFields, document);
  in.expect_end();
  StepGraph graph = complete(std::move(document));
  try {
    check(graph);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(std::string("step graph: ") + error.what());
  }
  return graph;
}

void save_graph(const StepGraph& graph, const std::string& path) {
  write_json_file(path, to_json(graph), "step graph");
}

StepGraph load_graph(const std::string& path) {
  return load_json_file(path, "step graph", graph_from_json);
}

}  // namespace tidemark
