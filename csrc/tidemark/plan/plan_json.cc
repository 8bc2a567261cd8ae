#include "tidemark/plan/plan_json.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "tidemark/graph/graph_json_impl.h"
#include "tidemark/graph/json_file.h"

namespace tidemark {
namespace {

[[noreturn]] void fail(const std::string& rule) { throw std::invalid_argument("plan: " + rule); }

// What every written plan obeys -------------------------------------------------------------------

void check_actions(const EventActions& at) {
  const std::string place = "actions of event " + std::to_string(at.event);
  if (at.actions.empty()) fail(place + ": the list is empty; leave the event out");
  for (std::size_t i = 0; i < at.actions.size(); ++i) {
    const Action& action = at.actions[i];
    if (action.target < 0) fail(place + ": target is " + std::to_string(action.target));
    if (i == 0) continue;
    const Action& before = at.actions[i - 1];
    if (action.kind < before.kind) fail(place + ": the order is replays, then keeps, then drops");
    const bool are_replays = action.kind == ActionKind::kReplay && before.kind == action.kind;
    if (are_replays && action.target <= before.target) fail(place + ": replays go in op order");
  }
}

void check_named(const Plan& plan, const EventActions& at) {
  const auto is_below = [](const PlanValue& named, ValueIndex v) { return named.value < v; };
  for (const Action& action : at.actions) {
    if (action.kind == ActionKind::kReplay) continue;
    const auto named =
        std::lower_bound(plan.values.begin(), plan.values.end(), action.target, is_below);
    if (named != plan.values.end() && named->value == action.target) continue;
    fail("actions of event " + std::to_string(at.event) + " name value " +
         std::to_string(action.target) + ", which is missing in \"values\"");
  }
}

void check_signature(const Signature& signature) {
  const std::size_t num_blocks = signature.entry.blocks.size();
  if (signature.entry_block_bytes.size() != num_blocks ||
      signature.entry_block_ends.size() != num_blocks) {
    fail("signature: entry_block_bytes and entry_block_ends need one number per entry block");
  }
  for (std::size_t i = 1; i < signature.items.size(); ++i) {
    if (signature.items[i].event <= signature.items[i - 1].event) {
      fail("signature: items[" + std::to_string(i) + "] is not after the item before it");
    }
  }
}

void check_order(const Plan& plan) {
  for (std::size_t i = 1; i < plan.values.size(); ++i) {
    if (plan.values[i].value <= plan.values[i - 1].value) {
      fail("values[" + std::to_string(i) + "] is not above the one before it");
    }
  }
  for (std::size_t i = 0; i < plan.actions.size(); ++i) {
    check_actions(plan.actions[i]);
    check_named(plan, plan.actions[i]);
    if (i > 0 && plan.actions[i].event <= plan.actions[i - 1].event) {
      fail("actions[" + std::to_string(i) + "] is not after the event before it");
    }
  }
  check_signature(plan.signature);
}

// Writing -----------------------------------------------------------------------------------------

void write_int(JsonWriter& out, std::string_view key, std::int64_t number) {
  out.key(key);
  out.write(number);
}

std::string hash_text(std::uint64_t hash) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 60; shift >= 0; shift -= 4) text.push_back(kDigits[(hash >> shift) & 15]);
  return text;
}

void write_targets(JsonWriter& out, std::string_view key, const EventActions& at, ActionKind kind) {
  std::vector<std::int32_t> targets;
  for (const Action& action : at.actions) {
    if (action.kind == kind) targets.push_back(action.target);
  }
  out.put_ints(key, targets);
}

void write_actions(JsonWriter& out, const EventActions& at) {
  out.begin_object();
  write_int(out, "event", at.event);
  write_targets(out, "replay", at, ActionKind::kReplay);
  write_targets(out, "keep", at, ActionKind::kKeep);
  write_targets(out, "drop", at, ActionKind::kDrop);
  out.end_object();
}

void write_value(JsonWriter& out, const PlanValue& value) {
  out.begin_object();
  write_int(out, "value", value.value);
  write_int(out, "block", value.block);
  write_int(out, "version", value.version);
  out.end_object();
}

void write_item(JsonWriter& out, const SignatureItem& item) {
  out.begin_object();
  write_int(out, "event", item.event);
  out.put_flag("is_unpack", item.is_unpack);
  out.put_text("name", item.name);
  out.put_ints("inputs", item.inputs);
  out.put_ints("outputs", item.outputs);
  out.put_texts("shapes", item.shapes);
  out.put_ints("handles", item.handles);
  out.end_object();
}

void write_signature(JsonWriter& out, const Signature& signature) {
  out.begin_object();
  out.key("entry");
  write_entry(out, signature.entry);
  out.key("entry_block_bytes");
  out.begin_array();
  for (const Bytes bytes : signature.entry_block_bytes) out.write(bytes);
  out.end_array();
  out.put_ints("entry_block_ends", signature.entry_block_ends);
  write_lines(out, "items", signature.items, write_item);
  out.end_object();
}

void write_promise(JsonWriter& out, const Plan& plan) {
  write_int(out, "peak_bytes", plan.peak_bytes);
  write_int(out, "peak_event", plan.peak_event);
  write_int(out, "unplanned_peak_bytes", plan.unplanned_peak_bytes);
  write_int(out, "floor_bytes", plan.floor_bytes);
  if (plan.least_feasible_bytes) write_int(out, "least_feasible_bytes", *plan.least_feasible_bytes);
  write_int(out, "step_ns", plan.step_ns);
  write_int(out, "recompute_ns", plan.recompute_ns);
  write_int(out, "lower_bound_ns", plan.lower_bound_ns);
  write_int(out, "num_replays", plan.num_replays);
  write_int(out, "num_ops", plan.num_ops);
  write_int(out, "num_values", plan.num_values);
}

// Reading -----------------------------------------------------------------------------------------

struct Document {
  Plan plan;
  int version = 0;
  bool has_hash = false;
  bool has_signature = false;
};

std::uint64_t read_hash(JsonReader& in) {
  const std::string text = in.read_string();
  std::uint64_t hash = 0;
  const char* end = text.data() + text.size();
  const bool is_hash = text.size() == 18 && text.starts_with("0x") &&
                       std::from_chars(text.data() + 2, end, hash, 16).ptr == end;
  if (!is_hash) in.fail("\"" + text + "\" is not a hash, expected \"0x\" and 16 digits");
  return hash;
}

void read_targets(JsonReader& in, EventActions& at, ActionKind kind) {
  in.read_array([&] { at.actions.push_back({kind, read_index(in)}); });
}

constexpr Field<EventActions> kActionFields[] = {
    {"event", [](auto& in, EventActions& a) { a.event = read_index(in); }},
    {"replay", [](auto& in, EventActions& a) { read_targets(in, a, ActionKind::kReplay); }},
    {"keep", [](auto& in, EventActions& a) { read_targets(in, a, ActionKind::kKeep); }},
    {"drop", [](auto& in, EventActions& a) { read_targets(in, a, ActionKind::kDrop); }},
};

constexpr Field<PlanValue> kValueFields[] = {
    {"value", [](auto& in, PlanValue& v) { v.value = read_index(in); }},
    {"block", [](auto& in, PlanValue& v) { v.block = read_index(in); }},
    {"version", [](auto& in, PlanValue& v) { v.version = read_index(in); }},
};

constexpr Field<SignatureItem> kItemFields[] = {
    {"event", [](auto& in, SignatureItem& i) { i.event = read_index(in); }},
    {"is_unpack", [](auto& in, SignatureItem& i) { i.is_unpack = in.read_bool(); }},
    {"name", [](auto& in, SignatureItem& i) { i.name = in.read_string(); }},
    {"inputs", [](auto& in, SignatureItem& i) { i.inputs = read_ints(in); }},
    {"outputs", [](auto& in, SignatureItem& i) { i.outputs = read_ints(in); }},
    {"shapes", [](auto& in, SignatureItem& i) { i.shapes = read_texts(in); }},
    {"handles", [](auto& in, SignatureItem& i) { i.handles = read_ints(in); }},
};

// Reads an array of objects into `items`; an event or value that is left out stays negative.
template <typename T>
void read_objects(JsonReader& in, std::span<const Field<T>> fields, std::vector<T>& items,
                  std::int32_t T::*id, std::string_view key) {
  in.read_array([&] {
    T& item = items.emplace_back();
    item.*id = kNone;
    in.read_object(fields, item);
    if (item.*id == kNone) in.fail("the object has no \"" + std::string(key) + "\"");
  });
}

constexpr Field<Signature> kSignatureFields[] = {
    {"entry", [](auto& in, Signature& s) { read_entry(in, s.entry); }},
    {"entry_block_bytes",
     [](auto& in, Signature& s) {
       in.read_array([&] { s.entry_block_bytes.push_back(in.read_count()); });
     }},
    {"entry_block_ends", [](auto& in, Signature& s) { s.entry_block_ends = read_ints(in); }},
    {"items",
     [](auto& in, Signature& s) {
       read_objects<SignatureItem>(in, kItemFields, s.items, &SignatureItem::event, "event");
     }},
};

// Actions may come in any order in an object; plans have one.
void read_actions(JsonReader& in, Plan& plan) {
  read_objects<EventActions>(in, kActionFields, plan.actions, &EventActions::event, "event");
  for (EventActions& at : plan.actions) {
    std::stable_sort(at.actions.begin(), at.actions.end(),
                     [](const Action& a, const Action& b) { return a.kind < b.kind; });
  }
}

constexpr Field<Document> kDocumentFields[] = {
    {"version", [](auto& in, Document& d) { read_version(in, Plan::kVersion, d.version); }},
    {"policy", [](auto& in, Document& d) { d.plan.policy = in.read_string(); }},
    {"budget_bytes", [](auto& in, Document& d) { d.plan.budget_bytes = in.read_count(); }},
    {"graph_hash",
     [](auto& in, Document& d) {
       d.plan.graph_hash = read_hash(in);
       d.has_hash = true;
     }},
    {"keep", [](auto& in, Document& d) { d.plan.wishes.keep = read_texts(in); }},
    {"recompute", [](auto& in, Document& d) { d.plan.wishes.recompute = read_texts(in); }},
    {"peak_bytes", [](auto& in, Document& d) { d.plan.peak_bytes = in.read_count(); }},
    {"peak_event", [](auto& in, Document& d) { d.plan.peak_event = read_index(in); }},
    {"unplanned_peak_bytes",
     [](auto& in, Document& d) { d.plan.unplanned_peak_bytes = in.read_count(); }},
    {"floor_bytes", [](auto& in, Document& d) { d.plan.floor_bytes = in.read_count(); }},
    {"least_feasible_bytes",
     [](auto& in, Document& d) { d.plan.least_feasible_bytes = in.read_count(); }},
    {"step_ns", [](auto& in, Document& d) { d.plan.step_ns = in.read_count(); }},
    {"recompute_ns", [](auto& in, Document& d) { d.plan.recompute_ns = in.read_count(); }},
    {"lower_bound_ns", [](auto& in, Document& d) { d.plan.lower_bound_ns = in.read_count(); }},
    {"num_replays", [](auto& in, Document& d) { d.plan.num_replays = in.read_count(); }},
    {"num_ops", [](auto& in, Document& d) { d.plan.num_ops = in.read_count(); }},
    {"num_values", [](auto& in, Document& d) { d.plan.num_values = in.read_count(); }},
    {"actions", [](auto& in, Document& d) { read_actions(in, d.plan); }},
    {"values",
     [](auto& in, Document& d) {
       read_objects<PlanValue>(in, kValueFields, d.plan.values, &PlanValue::value, "value");
     }},
    {"signature",
     [](auto& in, Document& d) {
       in.template read_object<Signature>(kSignatureFields, d.plan.signature);
       d.has_signature = true;
     }},
};

}  // namespace

std::string to_json(const Plan& plan) {
  check_order(plan);
  JsonWriter out;
  out.begin_object();
  write_int(out, "version", Plan::kVersion);
  out.key("policy");
  out.write(std::string_view(plan.policy));
  write_int(out, "budget_bytes", plan.budget_bytes);
  out.key("graph_hash");
  out.write(std::string_view(hash_text(plan.graph_hash)));
  out.put_texts("keep", plan.wishes.keep);
  out.put_texts("recompute", plan.wishes.recompute);
  out.new_line();
  write_promise(out, plan);
  write_lines(out, "actions", plan.actions, write_actions);
  write_lines(out, "values", plan.values, write_value);
  out.new_line();
  out.key("signature");
  write_signature(out, plan.signature);
  out.new_line();
  out.end_object();
  return out.take() + "\n";
}

Plan plan_from_json(std::string_view json) {
  JsonReader in(json, "plan");
  Document document;
  in.read_object<Document>(kDocumentFields, document);
  in.expect_end();
  if (document.version == 0) fail("the key \"version\" is missing");
  if (!document.has_hash) fail("the key \"graph_hash\" is missing");
  if (!document.has_signature) fail("the key \"signature\" is missing");
  check_order(document.plan);
  return std::move(document.plan);
}

void save_plan(const Plan& plan, const std::string& path) {
  write_json_file(path, to_json(plan), "plan");
}

Plan load_plan(const std::string& path) { return load_json_file(path, "plan", plan_from_json); }

}  // namespace tidemark
