// A Plan says, per event of a step, what to keep, what to drop and what to compute again.
//
// It names no tensors and holds no memory: the same Plan can be printed, saved, compared and run in
// a process that never recorded the step. It carries the signature of the variant it was made for,
// so that it can be followed (and refused with the first difference named) without the graph.
//
// MEANING (simulate, validate and the runtime each implement exactly this):
//   keep v    the runtime takes a reference to v, after v's producer or its replay. Ends with `drop
//             v`, with the last saved handle of v (if v has handles), where the next version of v's
//             block begins, or with the step.
//   drop v    all references of the runtime to v are given back; its bytes leave when the program
//             holds none either (at the end of the current hold). Saved handles keep by default;
//             handles packed on v after its `drop` are born dropped.
//   replay e  runs op event e again and restores its outputs into new blocks.
// Actions of one event: replays in op order, then keeps, then drops. They sit after a forward op,
// or inside an unpack before its values are served. In graphs from elsewhere: before the op.
//
// PRICE OF A REPLAY: its peak is the live bytes then, plus clones of written inputs that are not
// temporaries read for the last time, plus max(0, new - freed bytes) + workspace of the op as
// recorded, where an output that the op may write over an input (replays_in_place) is not new if
// that input is such a temporary; afterwards all its outputs are live until the duplicates of
// resident values and the outputs nobody reads go, before the next replay. Within one action list
// replayed outputs are temporaries, freed after the last replay of that list that reads them,
// unless kept or taken by the unpack. A restored value belongs to the runtime until it is served at
// the unpack, then to the program to the end of the hold that begins there; with a `keep` to its
// last handle's release.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/graph/graph.h"

namespace tidemark {

enum class ActionKind : std::uint8_t { kReplay, kKeep, kDrop };

struct Action {
  ActionKind kind = ActionKind::kKeep;
  std::int32_t target = kNone;  // an event for kReplay, a value for kKeep and kDrop
  bool operator==(const Action&) const = default;
};

// The actions of one event, in the order replays, keeps, drops.
struct EventActions {
  EventIndex event = 0;
  std::vector<Action> actions;
  bool operator==(const EventActions&) const = default;
};

// How a running step recognises itself: one entry per forward op and per unpack, in event order.
struct SignatureItem {
  EventIndex event = 0;
  bool is_unpack = false;
  std::string name;                   // op or node name
  std::vector<BlockIndex> inputs;     // op: blocks read, in order of first use
  std::vector<BlockIndex> outputs;    // op: blocks made or written
  std::vector<std::string> shapes;    // op: as Event::shapes
  std::vector<HandleNumber> handles;  // unpack
  bool operator==(const SignatureItem&) const = default;
};

struct Signature {
  std::vector<SignatureItem> items;
  Entry entry;
  std::vector<Bytes> entry_block_bytes;  // bytes of entry.blocks, same order
  std::vector<EventIndex>
      entry_block_ends;  // event at whose start each is gone; num_events = lives on
  bool operator==(const Signature&) const = default;
};

// Which block and version a value named in an action is; the runtime finds it by these.
struct PlanValue {
  ValueIndex value = kNone;
  BlockIndex block = 0;
  std::int32_t version = 0;
  bool operator==(const PlanValue&) const = default;
};

// What the user wants kept or recomputed whatever it costs, as patterns (wishes.h).
struct Wishes {
  std::vector<std::string> keep;
  std::vector<std::string> recompute;
  bool operator==(const Wishes&) const = default;

  bool is_empty() const { return keep.empty() && recompute.empty(); }
};

struct Plan {
  static constexpr int kVersion = 1;
  std::string policy;
  Bytes budget_bytes = 0;
  std::uint64_t graph_hash = 0;
  Wishes wishes;  // those that it honours
  Signature signature;
  std::vector<EventActions> actions;  // sorted by event, none empty
  std::vector<PlanValue> values;      // those named in actions, sorted by value
  // What it promises.
  Bytes peak_bytes = 0;
  EventIndex peak_event = 0;
  Bytes unplanned_peak_bytes = 0;
  Bytes floor_bytes = 0;
  std::optional<Bytes> least_feasible_bytes;  // when asked for
  Nanoseconds step_ns = 0;                    // recorded time of the unplanned step's ops
  Nanoseconds recompute_ns = 0;               // recorded time of the replayed ops
  Nanoseconds lower_bound_ns = 0;             // no plan within the budget recomputes less than this
  std::int64_t num_replays = 0;
  std::int64_t num_ops = 0;
  std::int64_t num_values = 0;
  bool operator==(const Plan&) const = default;
};

}  // namespace tidemark
