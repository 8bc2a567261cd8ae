// StepGraph: one training step as data.
//
// A recorder, a generator or another tool writes it; the simulator, the validator and the planners
// read it; files carry it (docs/step-graph.md explains it with a worked example, and
// docs/step-graph.schema.json is its schema). It holds no tensor and knows nothing of torch.
//
// WORDS. op: one leaf call as the dispatcher sees it below autograd. value: one version of one
// storage. block: the storage a value lies in as recorded. hold: a half-open interval of events in
// which the program itself refers to a value. gap: the time between two holds of one value, when
// only autograd's saved handle wants it; a gap is the unit of decision. source: a value that exists
// before the step (no producer).
//
// TIME. Events are numbered from 0 in the order in which they happened; every time in a graph or a
// plan is an event index, and intervals are half-open. "Gone at e" means gone at the start of event
// e. num_events() as an end means "to the end of the step or beyond".
//
// Plain data: may be copied and read from any thread.
#pragma once

#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidemark/base/bytes.h"

namespace tidemark {

using EventIndex = std::int32_t;
using ValueIndex = std::int32_t;
using BlockIndex = std::int32_t;
using HandleNumber = std::int32_t;  // Saved-tensor handles, numbered in order of packing.

inline constexpr std::int32_t kNone = -1;  // No producer, never overwritten, unmanaged handle.

enum class EventKind : std::uint8_t { kOp, kUnpack, kHost };
enum class Phase : std::uint8_t { kForward, kBackward, kOptimizer, kOther };

// Spelled as PyTorch's MemTracker spells them.
enum class Category : std::uint8_t {
  kParameter,
  kBuffer,
  kGradient,
  kActivation,
  kTemp,
  kOptstate,
  kOther
};
inline constexpr int kNumCategories = 7;

TIDEMARK_API std::string_view to_string(EventKind kind) noexcept;
TIDEMARK_API std::string_view to_string(Phase phase) noexcept;
TIDEMARK_API std::string_view to_string(Category category) noexcept;

struct Interval {
  EventIndex begin = 0;
  EventIndex end = 0;
  bool operator==(const Interval&) const = default;
};

// An in-place op ends the life of `input` and begins that of `output` in the same block.
struct InPlace {
  ValueIndex input = kNone;
  ValueIndex output = kNone;
  bool operator==(const InPlace&) const = default;
};

// A saved-tensor handle on a value: packed after event `packed_at` began and no later op did; gone
// at the start of `released_at`.
struct Handle {
  HandleNumber number = kNone;
  EventIndex packed_at = 0;
  EventIndex released_at = 0;
  bool operator==(const Handle&) const = default;
};

// One thing that happens in a step. Fields that do not belong to `kind` are empty.
//
//   op      reads `inputs` (each value once, in order of first use), makes `outputs`. Values
//   written
//           in place stand in both and in `in_place`.
//   unpack  a maximal run of unpacks by one call of one backward node: all `handles` are restored
//           before the first is served. `values` are the values of those handles that are managed.
//   host    one allocation between ops (a Python scalar, torch.tensor, a numpy copy): `outputs` has
//           exactly that value.
struct Event {
  EventKind kind = EventKind::kOp;
  std::string name;               // op: "aten::mm" or "aten::add.Tensor"; unpack: node name
  Phase phase = Phase::kForward;  // kBackward: a graph task was current
  std::string scope;              // module path, "" if unknown
  std::string source;             // "file.py:12", "" if unknown
  Nanoseconds cost_ns = 0;        // measured or estimated time of the op
  Bytes workspace_bytes = 0;      // live_peak - max(live_before, live_after), >= 0
  std::vector<ValueIndex> inputs;
  std::vector<ValueIndex> outputs;
  std::vector<InPlace> in_place;
  // A replay may write `output` over `input` instead of making a block for it: plan.h says when.
  std::vector<InPlace> replays_in_place;
  std::vector<ValueIndex> frees;      // inputs whose block the op itself released
  std::vector<std::string> shapes;    // per tensor result of the op: "f32[8,256]"
  std::string pinned;                 // why it must not be replayed; "" = replayable
  bool rng = false;                   // draws random numbers (replayed from its generator state)
  std::vector<HandleNumber> handles;  // unpack only
  std::vector<ValueIndex> values;     // unpack only
  bool operator==(const Event&) const = default;
};

// One version of one storage.
struct Value {
  BlockIndex block = 0;
  std::int32_t version = 0;
  Bytes bytes = 0;  // nbytes as requested; equal for all versions of a block
  Category category = Category::kOther;
  EventIndex producer = kNone;        // kNone: a source
  std::vector<Interval> holds;        // sorted, disjoint, may touch; a source's first begins at 0
  std::vector<Handle> handles;        // sorted by number
  EventIndex overwritten_at = kNone;  // event that begins the block's next version
  bool persistent = false;            // its block lives past the step
  bool gc_held = false;               // died by Python's cycle collector: excluded from equality
  std::string scope;                  // module or parameter path, "" if unknown
  bool operator==(const Value&) const = default;
};

// What was live when the step began.
struct Entry {
  std::vector<Bytes> bytes_by_category = std::vector<Bytes>(kNumCategories, 0);
  Bytes other_bytes = 0;           // live blocks the step neither touches nor lets die: an offset
  std::vector<BlockIndex> blocks;  // blocks that the step touches or that die in it
  bool operator==(const Entry&) const = default;

  Bytes total_bytes() const {
    return std::accumulate(bytes_by_category.begin(), bytes_by_category.end(), other_bytes);
  }
};

struct StepGraph {
  static constexpr int kVersion = 1;
  std::vector<Event> events;
  std::vector<Value> values;
  Entry entry;
  std::string device = "cpu";
  std::string recorded_by;   // "tidemark 0.1.0 torch 2.13.0", free text
  bool is_estimate = false;  // recorded on fake tensors: costs and workspace are modelled
  // True for graphs of this project's recorder: actions only where the runtime can act (after a
  // forward op, inside an unpack). False for graphs from elsewhere: before any op.
  bool has_runtime_actions = true;

  EventIndex num_events() const noexcept { return static_cast<EventIndex>(events.size()); }
  ValueIndex num_values() const noexcept { return static_cast<ValueIndex>(values.size()); }
  bool operator==(const StepGraph&) const = default;
};

// Throws std::invalid_argument naming the first broken rule and its place: an id out of range, a
// value made twice or used before it is made, unsorted holds, negative or overflowing sizes, ...
TIDEMARK_API void check(const StepGraph& graph);

// Returns whether the runtime can act at `event`: after a forward op (any op outside backward), or
// inside an unpack. In graphs from elsewhere: at any op (before it).
TIDEMARK_API bool is_actionable(const StepGraph& graph, EventIndex event);

}  // namespace tidemark
