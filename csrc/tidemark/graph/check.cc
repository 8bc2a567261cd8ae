// The rules of graph.h, one function each.

#include <algorithm>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "tidemark/graph/graph.h"

namespace tidemark {
namespace {

// Bounding the sum of everything bounds every sum that a simulator or planner can form.
constexpr std::int64_t kMostInAll = std::int64_t{1} << 61;

[[noreturn]] void fail(std::string_view kind, std::size_t index, const std::string& rule) {
  throw std::invalid_argument(std::string(kind) + " " + std::to_string(index) + ": " + rule);
}

std::string text(std::int64_t number) { return std::to_string(number); }

std::string name(const Handle& handle) { return "handle " + text(handle.number); }

std::string text(Interval time) { return "[" + text(time.begin) + ", " + text(time.end) + ")"; }

bool contains(const std::vector<ValueIndex>& values, ValueIndex value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// Checks one graph. Order matters: each step relies on what the steps before it established.
class Checker {
 public:
  explicit Checker(const StepGraph& graph) : graph_(graph) {}

  void run() {
    check_counts();
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) check_value(v);
    check_handle_numbers();
    for (EventIndex e = 0; e < graph_.num_events(); ++e) check_event(e);
    check_producers();
    check_blocks();
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) check_holds(v);
    for (EventIndex e = 0; e < graph_.num_events(); ++e) check_uses(e);
    check_entry();
  }

 private:
  [[noreturn]] static void fail_value(ValueIndex v, const std::string& rule) {
    fail("value", static_cast<std::size_t>(v), rule);
  }
  [[noreturn]] static void fail_event(EventIndex e, const std::string& rule) {
    fail("event", static_cast<std::size_t>(e), rule);
  }
  const Event& event(EventIndex e) const { return graph_.events[static_cast<std::size_t>(e)]; }
  const Value& value(ValueIndex v) const { return graph_.values[static_cast<std::size_t>(v)]; }
  bool is_event(EventIndex e) const { return e >= 0 && e < graph_.num_events(); }

  void check_counts() const {
    constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max() - 1;
    if (graph_.events.size() > kMost || graph_.values.size() > kMost) {
      throw std::invalid_argument("graph: more than 2^31 - 2 events or values");
    }
  }

  // What can be said about a value by itself.
  void check_value(ValueIndex v) {
    const Value& val = value(v);
    if (val.block < 0 || val.block >= graph_.num_values()) {
      fail_value(v, "block is " + text(val.block) + "; blocks are numbered from 0, so below " +
                        text(graph_.num_values()) + " here");
    }
    if (val.version < 0) fail_value(v, "version is " + text(val.version) + ", expected >= 0");
    check_bytes("value", v, "bytes", val.bytes);
    if (val.producer != kNone && !is_event(val.producer)) {
      fail_value(v, "producer is " + text(val.producer) + ", expected none or an event below " +
                        text(graph_.num_events()));
    }
    if (val.overwritten_at != kNone && !is_event(val.overwritten_at)) {
      fail_value(v, "overwritten_at is " + text(val.overwritten_at) +
                        ", expected none or an event below " + text(graph_.num_events()));
    }
    check_hold_order(v);
    check_handles(v);
  }

  void check_bytes(std::string_view kind, std::int32_t index, std::string_view field, Bytes bytes) {
    if (bytes < 0) {
      fail(kind, static_cast<std::size_t>(index),
           std::string(field) + " is " + text(bytes) + ", expected >= 0");
    }
    if (bytes > kMostInAll - total_bytes_) {
      fail(kind, static_cast<std::size_t>(index),
           std::string(field) +
               " makes the bytes of the graph overflow; their sum may be at most 2^61");
    }
    total_bytes_ += bytes;
  }

  void check_hold_order(ValueIndex v) const {
    const Value& val = value(v);
    if (val.holds.empty()) fail_value(v, "has no hold; expected at least one");
    EventIndex last_end = 0;
    for (const Interval& hold : val.holds) {
      // A tensor of an earlier step may die after entry and before event 0.
      const bool is_early_death = val.producer == kNone && hold == Interval{0, 0};
      if (hold.begin < last_end || hold.end > graph_.num_events() ||
          (hold.begin >= hold.end && !is_early_death)) {
        fail_value(v, "hold " + text(hold) +
                          " is empty, out of order, overlaps the one before, or " +
                          "ends after the step's " + text(graph_.num_events()) + " events");
      }
      last_end = hold.end;
    }
    const EventIndex birth = std::max(val.producer, 0);
    if (val.holds.front().begin != birth) {
      fail_value(v,
                 "first hold begins at " + text(val.holds.front().begin) + ", expected " +
                     (val.producer == kNone ? "0 for a source" : text(birth) + ", its producer"));
    }
  }

  void check_handles(ValueIndex v) const {
    const Value& val = value(v);
    HandleNumber last = kNone;
    for (const Handle& handle : val.handles) {
      if (handle.number <= last) {
        fail_value(v, name(handle) + " is negative or not above the one before");
      }
      if (handle.packed_at < std::max(val.producer, 0) || handle.packed_at >= graph_.num_events()) {
        fail_value(v, name(handle) + " is packed at " + text(handle.packed_at) +
                          ", expected an event from " + text(std::max(val.producer, 0)) + " on");
      }
      if (handle.released_at <= handle.packed_at || handle.released_at > graph_.num_events()) {
        fail_value(v, name(handle) + " is released at " + text(handle.released_at) +
                          ", expected after " + text(handle.packed_at) + " and at most " +
                          text(graph_.num_events()));
      }
      last = handle.number;
    }
  }

  void check_handle_numbers() {
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
      for (const Handle& handle : value(v).handles) {
        const auto [first, is_new] = owner_.try_emplace(handle.number, v);
        if (!is_new) {
          fail_value(v, "handle " + text(handle.number) + " belongs to value " +
                            text(first->second) + " already");
        }
      }
    }
  }

  // What can be said about an event by itself, once every id in a value is known to be in range.
  void check_event(EventIndex e) {
    const Event& ev = event(e);
    if (ev.cost_ns < 0) fail_event(e, "cost_ns is " + text(ev.cost_ns) + ", expected >= 0");
    if (ev.cost_ns > kMostInAll - total_ns_) {
      fail_event(e, "cost_ns makes the time of the step overflow; its sum may be at most 2^61");
    }
    total_ns_ += ev.cost_ns;
    check_bytes("event", e, "workspace_bytes", ev.workspace_bytes);
    check_list(e, "inputs", ev.inputs);
    check_list(e, "outputs", ev.outputs);
    check_list(e, "frees", ev.frees);
    check_list(e, "values", ev.values);
    switch (ev.kind) {
      case EventKind::kOp:
        return check_op(e);
      case EventKind::kUnpack:
        return check_unpack(e);
      case EventKind::kHost:
        return check_host(e);
    }
    fail_event(e, "kind is " + text(static_cast<int>(ev.kind)) + ", expected op, unpack or host");
  }

  void check_list(EventIndex e, std::string_view field, const std::vector<ValueIndex>& list) {
    for (ValueIndex v : list) {
      if (v < 0 || v >= graph_.num_values()) {
        fail_event(e, std::string(field) + " names value " + text(v) + "; the graph has " +
                          text(graph_.num_values()));
      }
    }
    if (list.size() < 2) return;
    seen_.assign(list.begin(), list.end());
    std::sort(seen_.begin(), seen_.end());
    const auto twice = std::adjacent_find(seen_.begin(), seen_.end());
    if (twice != seen_.end()) {
      fail_event(e, std::string(field) + " names value " + text(*twice) + " twice");
    }
  }

  void check_op(EventIndex e) const {
    const Event& ev = event(e);
    if (ev.name.empty()) fail_event(e, "op has no name");
    if (!ev.handles.empty() || !ev.values.empty()) {
      fail_event(e, "op has handles or values, which only an unpack may have");
    }
    for (const InPlace& write : ev.in_place) check_in_place(e, write);
    for (const InPlace& pair : ev.replays_in_place) check_replayed_in_place(e, pair);
    for (ValueIndex v : ev.frees) check_freed(e, v);
  }

  void check_replayed_in_place(EventIndex e, const InPlace& pair) const {
    const Event& ev = event(e);
    const auto fail = [&](const std::string& why) {
      fail_event(e,
                 "replays_in_place [" + text(pair.input) + ", " + text(pair.output) + "]: " + why);
    };
    if (!contains(ev.inputs, pair.input)) fail("not an input of the op");
    if (!contains(ev.outputs, pair.output)) fail("not an output of the op");
    if (value(pair.input).bytes != value(pair.output).bytes)
      fail("expected values of equal bytes, not " + text(value(pair.input).bytes) + " and " +
           text(value(pair.output).bytes));
    const auto shares = [&pair](const InPlace& other) {
      return other.input == pair.input || other.output == pair.output;
    };
    if (std::ranges::any_of(ev.in_place, shares)) fail("one of them is written in place anyway");
    if (std::ranges::count_if(ev.replays_in_place, shares) > 1)
      fail("one of them stands in another pair");
  }

  void check_in_place(EventIndex e, const InPlace& write) const {
    const Event& ev = event(e);
    const auto pair = [&write] {
      return "in_place [" + text(write.input) + ", " + text(write.output) + "]";
    };
    if (!contains(ev.inputs, write.input)) fail_event(e, pair() + ": not an input of the op");
    if (!contains(ev.outputs, write.output)) fail_event(e, pair() + ": not an output of the op");
    const Value& before = value(write.input);
    const Value& after = value(write.output);
    if (before.block != after.block || after.version != before.version + 1) {
      fail_event(e, pair() + ": expected the next version of the input's block " +
                        text(before.block) + ", version " + text(before.version + 1));
    }
    if (before.overwritten_at != e) {
      fail_event(e,
                 pair() + ": value " + text(write.input) + " must have overwritten_at " + text(e));
    }
  }

  void check_freed(EventIndex e, ValueIndex v) const {
    if (!contains(event(e).inputs, v)) {
      fail_event(e, "frees value " + text(v) + ", which is not an input of the op");
    }
    const Value& val = value(v);
    const bool is_handled = std::any_of(val.handles.begin(), val.handles.end(),
                                        [e](const Handle& h) { return h.released_at > e + 1; });
    if (val.holds.back().end != e + 1 || is_handled || val.overwritten_at != kNone) {
      fail_event(e, "frees value " + text(v) + ", whose last hold must then end at " + text(e + 1) +
                        " with no handle left and no later version");
    }
  }

  void check_unpack(EventIndex e) const {
    const Event& ev = event(e);
    check_only_unpack_fields(e);
    if (ev.handles.empty()) fail_event(e, "unpack has no handles");
    std::set<HandleNumber> numbers;
    for (HandleNumber number : ev.handles) {
      if (number < 0) fail_event(e, "handle is " + text(number) + ", expected >= 0");
      if (!numbers.insert(number).second)
        fail_event(e, "handle " + text(number) + " appears twice");
      check_unpacked_handle(e, number);
    }
    for (ValueIndex v : ev.values) {
      const auto& handles = value(v).handles;
      if (std::none_of(handles.begin(), handles.end(),
                       [&](const Handle& h) { return numbers.count(h.number) != 0; })) {
        fail_event(e, "unpacks value " + text(v) + " by none of that value's handles");
      }
    }
  }

  void check_unpacked_handle(EventIndex e, HandleNumber number) const {
    const auto owner = owner_.find(number);
    if (owner == owner_.end()) return;  // unmanaged: a handle that no value carries
    const ValueIndex v = owner->second;
    if (!contains(event(e).values, v)) {
      fail_event(e, "handle " + text(number) + " is one of value " + text(v) +
                        ", which is missing in the event's values");
    }
    for (const Handle& handle : value(v).handles) {
      if (handle.number == number && (e <= handle.packed_at || e >= handle.released_at)) {
        fail_event(e, "unpacks handle " + text(number) + ", which lives only between " +
                          text(handle.packed_at) + " and " + text(handle.released_at));
      }
    }
  }

  void check_only_unpack_fields(EventIndex e) const {
    const Event& ev = event(e);
    if (!ev.inputs.empty() || !ev.outputs.empty() || has_op_fields(ev)) {
      fail_event(e, "unpack has fields that only an op may have");
    }
  }

  static bool has_op_fields(const Event& ev) {
    return !ev.in_place.empty() || !ev.replays_in_place.empty() || !ev.frees.empty() ||
           !ev.shapes.empty() || !ev.pinned.empty() || ev.rng || ev.workspace_bytes != 0 ||
           ev.cost_ns != 0;
  }

  void check_host(EventIndex e) const {
    const Event& ev = event(e);
    if (ev.outputs.size() != 1) {
      fail_event(e, "host makes " + text(static_cast<std::int64_t>(ev.outputs.size())) +
                        " values, expected exactly one");
    }
    if (!ev.inputs.empty() || !ev.handles.empty() || !ev.values.empty() || has_op_fields(ev)) {
      fail_event(e, "host has fields that only an op or an unpack may have");
    }
  }

  // Every value is made once, by the event it names.
  void check_producers() const {
    std::vector<EventIndex> made_by(graph_.values.size(), kNone);
    for (EventIndex e = 0; e < graph_.num_events(); ++e) {
      for (ValueIndex v : event(e).outputs) {
        EventIndex& producer = made_by[static_cast<std::size_t>(v)];
        if (producer != kNone) {
          fail_event(
              e, "makes value " + text(v) + ", which event " + text(producer) + " made already");
        }
        producer = e;
      }
    }
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
      const EventIndex producer = made_by[static_cast<std::size_t>(v)];
      if (producer != value(v).producer) {
        fail_value(v, "producer is " + text(value(v).producer) + " but it is an output of event " +
                          text(producer) + " (" + text(kNone) + " is none)");
      }
    }
  }

  // Versions of a block follow each other, each made in place from the one before.
  void check_blocks() {
    by_block_.resize(graph_.values.size());
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
      by_block_[static_cast<std::size_t>(value(v).block)].push_back(v);
    }
    for (auto& versions : by_block_) {
      std::sort(versions.begin(), versions.end(),
                [this](ValueIndex a, ValueIndex b) { return value(a).version < value(b).version; });
      for (std::size_t i = 1; i < versions.size(); ++i) check_next(versions[i - 1], versions[i]);
      if (!versions.empty()) check_last(versions);
    }
  }

  void check_next(ValueIndex before, ValueIndex after) const {
    const Value& a = value(before);
    const Value& b = value(after);
    if (b.version != a.version + 1) {
      fail_value(after, "is version " + text(b.version) + " of block " + text(b.block) +
                            ", expected version " + text(a.version + 1) + " after value " +
                            text(before));
    }
    if (a.bytes != b.bytes) {
      fail_value(after, "has " + text(b.bytes) + " bytes, expected " + text(a.bytes) +
                            " as value " + text(before) + " in the same block");
    }
    if (a.overwritten_at == kNone || a.overwritten_at != b.producer) {
      fail_value(before, "overwritten_at is " + text(a.overwritten_at) + ", expected " +
                             text(b.producer) + ", the producer of value " + text(after));
    }
    const auto& writes = event(b.producer).in_place;
    if (std::find(writes.begin(), writes.end(), InPlace{before, after}) == writes.end()) {
      fail_event(b.producer, "writes value " + text(after) + " over value " + text(before) +
                                 "; expected the pair in in_place");
    }
  }

  void check_last(const std::vector<ValueIndex>& versions) const {
    const ValueIndex last = versions.back();
    if (value(last).overwritten_at != kNone) {
      fail_value(last, "overwritten_at is " + text(value(last).overwritten_at) +
                           ", but no later version of block " + text(value(last).block) +
                           " exists");
    }
    EventIndex end = 0;
    bool is_persistent = false;
    for (ValueIndex v : versions) {
      is_persistent |= value(v).persistent;
      end = std::max(end, value(v).holds.back().end);
      for (const Handle& handle : value(v).handles) end = std::max(end, handle.released_at);
    }
    if (is_persistent && end != graph_.num_events()) {
      fail_value(last, "is in a persistent block that is gone at " + text(end) +
                           "; expected a hold or handle to " + text(graph_.num_events()));
    }
  }

  bool is_held(ValueIndex v, EventIndex e) const {
    const auto& holds = value(v).holds;
    auto next =
        std::upper_bound(holds.begin(), holds.end(), e,
                         [](EventIndex at, const Interval& hold) { return at < hold.begin; });
    return next != holds.begin() && std::prev(next)->end > e;
  }

  // In graphs with unpacks, only production and an unpack give the program a value.
  void check_holds(ValueIndex v) const {
    if (!graph_.has_runtime_actions) return;
    const auto& holds = value(v).holds;
    for (std::size_t i = 1; i < holds.size(); ++i) {
      const EventIndex e = holds[i].begin;
      if (event(e).kind != EventKind::kUnpack || !unpacks_block_of(e, v)) {
        fail_value(v, "hold " + text(holds[i]) + " begins at event " + text(e) +
                          ", which does not unpack the value");
      }
    }
  }

  // A handle on an older version serves the block as it is: the current version's hold begins.
  bool unpacks_block_of(EventIndex e, ValueIndex v) const {
    const auto& values = event(e).values;
    return std::any_of(values.begin(), values.end(),
                       [&](ValueIndex u) { return value(u).block == value(v).block; });
  }

  void check_uses(EventIndex e) const {
    const Event& ev = event(e);
    for (ValueIndex v : ev.inputs) check_input(e, v);
    for (ValueIndex v : ev.values) {
      // A handle on a version that was overwritten serves its block as it is now.
      const bool is_overwritten = value(v).overwritten_at != kNone && value(v).overwritten_at <= e;
      if (is_overwritten || is_held(v, e)) continue;
      fail_event(e, "unpacks value " + text(v) + ", but no hold covers the event");
    }
  }

  void check_input(EventIndex e, ValueIndex v) const {
    const Value& val = value(v);
    if (val.producer >= e) {
      fail_event(e, "reads value " + text(v) + " before event " + text(val.producer) + " makes it");
    }
    if (val.overwritten_at != kNone && val.overwritten_at < e) {
      fail_event(e,
                 "reads value " + text(v) + ", overwritten at event " + text(val.overwritten_at));
    }
    // The writer's own input may end where the next version begins.
    if (val.overwritten_at != e && !is_held(v, e)) {
      fail_event(e, "reads value " + text(v) + ", but no hold covers the event");
    }
  }

  void check_entry() {
    const Entry& entry = graph_.entry;
    if (entry.bytes_by_category.size() != kNumCategories) {
      throw std::invalid_argument("entry: bytes_by_category has " +
                                  std::to_string(entry.bytes_by_category.size()) +
                                  " numbers, expected " + std::to_string(kNumCategories));
    }
    for (int c = 0; c < kNumCategories; ++c) {
      check_bytes("entry category", c, "bytes",
                  entry.bytes_by_category[static_cast<std::size_t>(c)]);
    }
    check_bytes("entry field", 0, "other_bytes", entry.other_bytes);
    check_entry_blocks();
  }

  // Left out entirely, or exactly the blocks of sources.
  void check_entry_blocks() const {
    std::vector<char> is_listed(graph_.values.size(), 0);
    for (BlockIndex block : graph_.entry.blocks) {
      if (block < 0 || block >= graph_.num_values() || !is_source_block(block)) {
        throw std::invalid_argument("entry: block " + text(block) + " holds no source");
      }
      char& listed = is_listed[static_cast<std::size_t>(block)];
      if (listed != 0)
        throw std::invalid_argument("entry: block " + text(block) + " appears twice");
      listed = 1;
    }
    if (graph_.entry.blocks.empty()) return;
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
      if (value(v).producer == kNone && is_listed[static_cast<std::size_t>(value(v).block)] == 0) {
        fail_value(v, "is a source in block " + text(value(v).block) +
                          ", which is missing in the entry's blocks");
      }
    }
  }

  bool is_source_block(BlockIndex block) const {
    const auto& versions = by_block_[static_cast<std::size_t>(block)];
    return !versions.empty() && value(versions.front()).producer == kNone;
  }

  const StepGraph& graph_;
  Bytes total_bytes_ = 0;
  Nanoseconds total_ns_ = 0;
  std::unordered_map<HandleNumber, ValueIndex> owner_;
  std::vector<std::vector<ValueIndex>> by_block_;
  std::vector<ValueIndex> seen_;
};

}  // namespace

void check(const StepGraph& graph) { Checker(graph).run(); }

}  // namespace tidemark
