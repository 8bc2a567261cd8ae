// Recorder: turns what a step shows (ops, allocations, saved tensors) into a StepGraph.
//
// It is told in calling order; it asks for nothing but use counts. Holds of saved values are
// observed by polling: a hold ends at the first event at whose start the storage has no reference
// but the runtime's own. Deaths of values that nobody saved are told by the allocator.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tidemark/graph/graph.h"
#include "tidemark/runtime/tape.h"

namespace tidemark {

// One op as the recorder sees it when it ends.
struct OpRecord {
  const OpFacts* facts = nullptr;
  Phase phase = Phase::kForward;
  std::string_view pinned;
  Nanoseconds cost_ns = 0;
  std::vector<ValueKey> inputs;
  std::vector<ValueKey> results;  // fresh blocks
  std::vector<std::pair<ValueKey, ValueKey>> in_place;
  std::vector<std::pair<ValueKey, ValueKey>> replays_in_place;
  std::vector<std::string> shapes;
};

class Recorder {
 public:
  explicit Recorder(Tape& tape, AllocationId first_allocation, Bytes entry_bytes);

  // Called where an op, an unpack or a host allocation is about to happen.
  void poll();

  void begin_op();
  void end_op(OpRecord record);
  void abort_op() noexcept { is_in_op_ = false; }

  // A handle is asked for: part of the current unpack event of `node`, or the first of a new one
  // (another node, an op ran, or the handle comes twice). `served` follows once its value is there.
  void unpack(HandleNumber number, const void* node, const std::string& node_name);
  void served(ValueKey key);
  void pack(HandleNumber number, ValueKey key, bool is_managed);
  void release(HandleNumber number);
  // The runtime takes a reference to a value as recorded: from now on the allocator's free may come
  // later than the program's last reference goes, so that is polled.
  void refer(ValueKey key);

  void allocated(AllocationId id, Bytes bytes);
  void freed(AllocationId id, Bytes bytes, bool by_eviction);

  // The module path and source line of what runs now; used for the events that follow.
  void set_place(std::string scope, std::string source);
  const std::string& scope() const { return scope_; }
  const std::string& source() const { return source_; }

  EventIndex num_events() const { return static_cast<EventIndex>(events_.size()); }

  // Parameter, optimizer state and the like by block; what is not named is derived.
  void set_category(std::int32_t block, Category category) { categories_[block] = category; }
  bool has_category(std::int32_t block) const { return categories_.count(block) > 0; }

  // The step is over. `foreign_bytes`: storages that are not the allocator's and were first touched
  // in this step; they count from entry on.
  StepGraph finish(Bytes foreign_bytes);

 private:
  struct RecordedEvent {
    Event event;
    std::vector<ValueKey> inputs;
    std::vector<ValueKey> results;
    std::vector<std::pair<ValueKey, ValueKey>> in_place;
    std::vector<std::pair<ValueKey, ValueKey>> replays_in_place;
    std::vector<ValueKey> unpacked;
    std::vector<AllocationId> frees;
    AllocationId host_allocation = kNoAllocation;
    const void* node = nullptr;
  };
  struct AllocationRecord {
    Bytes bytes = 0;
    EventIndex birth = kNone;  // kNone: before the step
    EventIndex death = kNone;  // kNone: not yet
  };
  struct Watch {  // a saved block whose program references are polled
    ValueKey key;
    SeenStorage* seen;
  };
  struct HandleRecord {
    ValueKey key;
    bool is_managed = false;
    EventIndex packed_at = 0;
    EventIndex released_at = kNone;
  };
  friend class GraphBuilder;

  void open_hold(ValueKey key, EventIndex begin);
  void open_first_hold(ValueKey key);
  SeenStorage* storage_in_use(ValueKey key);

  Tape& tape_;
  AllocationId first_allocation_;
  Bytes entry_bytes_;
  std::vector<RecordedEvent> events_;
  std::map<AllocationId, AllocationRecord> allocations_;
  std::vector<HandleRecord> handles_;
  std::unordered_map<ValueKey, EventIndex, ValueKeyHash> producers_;
  std::unordered_map<std::int32_t, std::vector<Interval>> holds_;  // by tape block; end kNone: open
  std::vector<Watch> watched_;
  std::unordered_map<std::int32_t, Category> categories_;
  std::string scope_;
  std::string source_;
  bool is_in_op_ = false;
  Bytes op_live_ = 0;  // bytes made minus bytes released since the op began
  Bytes op_peak_ = 0;
  std::vector<AllocationId> op_allocations_;
  std::vector<AllocationId> op_frees_;
};

}  // namespace tidemark
