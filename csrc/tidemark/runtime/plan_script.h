// PlanScript: a Plan laid out for following it by two counters, forward ops and unpacks.
//
// Built once per plan; steps read it. Immutable, may be shared between threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "tidemark/graph/graph.h"
#include "tidemark/plan/plan.h"

namespace tidemark {

// One forward op of the expected step. The running step computes the hashes the same way.
struct ExpectedOp {
  std::uint64_t name_hash = 0;
  std::uint64_t flow_hash = 0;   // name_hash and the blocks read: hash_int of each, in order
  std::uint64_t shape_hash = 0;  // dtypes and sizes of its results: hash_shape of each, in order
  const EventActions* actions = nullptr;
};

// One unpack event of the expected step.
struct ExpectedUnpack {
  std::span<const HandleNumber> handles;
  const EventActions* actions = nullptr;
};

// An action with its target looked up: the forward op to replay, or the value's place.
struct PlannedValue {
  BlockIndex block = kNone;  // forward number
  std::int32_t version = 0;
};

class PlanScript {
 public:
  // `is_trusted`: made by a planner for this process's own steps. Of another plan, one that was
  // read from a file, a step that is not the one it was made for does only what is possible. Throws
  // std::invalid_argument if it replays what is no forward op of its signature.
  explicit PlanScript(Plan plan, bool is_trusted = true);
  // A planner's, for the step that `graph` is.
  PlanScript(Plan plan, const StepGraph& graph);
  const Plan& plan() const { return plan_; }
  const std::vector<ExpectedOp>& ops() const { return ops_; }
  const std::vector<ExpectedUnpack>& unpacks() const { return unpacks_; }
  // How many saved tensors are unpacked; about as many are packed.
  std::size_t num_handles() const { return handles_.size(); }
  std::int32_t forward_op_of(EventIndex event) const { return op_of_event_.at(event); }
  PlannedValue value_of(ValueIndex value) const { return values_.at(value); }
  bool is_trusted() const { return is_trusted_; }
  bool drops_anything() const { return !plan_.actions.empty(); }
  // The first op after the last unpack and the last action: the optimizer, as a rule. As many as
  // there are ops if nothing is unpacked.
  std::size_t tail_begin() const { return tail_begin_; }
  // Whether the plan keeps, drops or computes again any version of the block with this forward
  // number.
  bool acts_on(BlockIndex block) const {
    return block >= 0 && block < std::ssize(is_acted_on_) && is_acted_on_[block];
  }
  Bytes entry_bytes() const { return entry_bytes_; }
  // The most bytes live from forward op `op` on, none after the last: the plan's peak at most, and
  // that where no graph was given.
  Bytes peak_from(std::size_t op) const;

 private:
  void lay_out_handles();
  void mark_acted_on();
  void check_replays() const;

  Plan plan_;
  bool is_trusted_;
  std::vector<ExpectedOp> ops_;
  std::vector<HandleNumber> handles_;  // of all unpacks, in order: backward reads on
  std::vector<ExpectedUnpack> unpacks_;
  std::unordered_map<EventIndex, std::int32_t> op_of_event_;
  std::unordered_map<ValueIndex, PlannedValue> values_;
  std::vector<bool> is_acted_on_;  // by block
  std::size_t tail_begin_ = 0;
  Bytes entry_bytes_ = 0;
  std::vector<Bytes> peak_from_op_;
};

}  // namespace tidemark
