// Step: one training step while it runs, watched, following a plan, or both.
//
// It listens to ops (tap), saved tensors (engine hooks) and allocations (allocator) of the thread
// that began it. Watched, it records a StepGraph and holds the budget by giving back saved values,
// dearest bytes per recompute time first (DTR's score, Kirisame et al. 2021, eq. h). Following, it
// finds its place by two counters, forward ops and unpacks, and executes the plan's actions.
//
// Saved-tensor handles share ownership of it: a graph that outlives the step can still be run.
#pragma once

#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tidemark/runtime/budget_exceeded.h"
#include "tidemark/runtime/plan_script.h"
#include "tidemark/runtime/replay.h"
#include "tidemark/runtime/saved_tensors.h"
#include "tidemark/runtime/step_allocator.h"
#include "tidemark/runtime/tape.h"
#include "tidemark/trace/recorder.h"
#include "tidemark/trace/tap.h"

namespace tidemark {

enum class StepKind { kWatched, kPlanned, kAdapted, kDiverged };

// Where the program is: module path and source line of what runs now.
struct Place {
  std::string scope;
  std::string source;
};
using PlaceFinder = std::function<Place()>;

struct StepOptions {
  Bytes limit = std::numeric_limits<Bytes>::max();
  std::shared_ptr<const PlanScript> script;  // nullptr: none to follow
  // Further scripts that begin alike; followed from the first op on where `script` differs.
  std::vector<std::shared_ptr<const PlanScript>> alternatives;
  bool is_exact = false;  // the scripts were made for this entry state
  bool record = true;
  PlaceFinder find_place;  // asked per forward op while recording; may be empty
};

struct StepOutcome {
  StepKind kind = StepKind::kWatched;
  Bytes peak_bytes = 0;
  std::optional<Bytes> promised_bytes;  // of the plan that was followed
  std::int64_t num_replays = 0;
  std::int64_t num_forward_ops = 0;
  std::int64_t num_saved = 0;
  Bytes tape_bytes = 0;
  std::string difference;                    // the first, if adapted or diverged
  std::shared_ptr<const PlanScript> script;  // what was followed last
  std::optional<StepGraph> graph;            // if recorded and not aborted
  std::vector<AllocationId> dead_at_entry;   // blocks older than the step that died in it, in order
  std::vector<AllocationId> touched_at_entry;  // blocks older than the step that it touched
};

class SavedHandle;

class Step final : public std::enable_shared_from_this<Step>,
                   public OpListener,
                   public SavedTensorFactory,
                   public StepObserver {
 public:
  // `foreign`: called with the bytes of each storage that is not the allocator's, at first touch;
  // returns whether they were counted already.
  using ForeignCounter = std::function<bool(c10::StorageImpl*, Bytes)>;

  Step(StepOptions options, ForeignCounter count_foreign);
  ~Step() override;

  void begin();
  // Ends the step; `aborted`: an exception leaves it.
  StepOutcome end(bool aborted);
  bool is_recording() const { return recorder_ != nullptr; }
  bool optimizer_had_begun() const { return optimizer_had_begun_; }
  const std::optional<BudgetExceededInfo>& exceeded() const { return exceeded_; }

  void on_op(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
             torch::jit::Stack* stack) override;
  std::unique_ptr<torch::autograd::SavedVariableHooks> make_hooks() override;
  void before_allocate(Bytes bytes) override;
  void after_allocate(AllocationId id, Bytes bytes) override;
  void after_free(AllocationId id, Bytes bytes) noexcept override;

 private:
  friend class SavedHandle;
  class Busy;

  void pack(SavedHandle& handle, const at::Tensor& tensor);
  at::Tensor unpack(SavedHandle& handle);
  void release(SavedHandle& handle) noexcept;

  void forward_op(const c10::OperatorHandle& op, const OpFacts& facts, c10::DispatchKeySet keys,
                  torch::jit::Stack* stack);
  void backward_op(const c10::OperatorHandle& op, const OpFacts& facts, c10::DispatchKeySet keys,
                   torch::jit::Stack* stack);
  Nanoseconds timed_run(const c10::OperatorHandle& op, const OpFacts& facts,
                        c10::DispatchKeySet keys, torch::jit::Stack* stack);
  void record_forward_op(const TapedOp& op, torch::jit::Stack* stack);
  void note_new_blocks(at::ArrayRef<c10::IValue> args);
  void count_foreign_blocks();
  void note_writes(const TapedOp& op, at::ArrayRef<c10::IValue> args);
  void restore_dependants(const TapedOp& writer);

  void follow_op(const TapedOp& op, torch::jit::Stack* stack);
  void follow_unpack(const SavedHandle& first);
  bool switch_script();
  void execute(const EventActions& actions, const std::vector<SavedHandle*>& served);
  void differ(StepKind kind, std::string what);
  void tape_from_here();
  ValueKey key_of(ValueIndex value) const;

  void restore(ValueKey key);
  Bytes missing_bytes(Bytes bytes) const;
  bool is_tight(Bytes bytes) const;
  [[noreturn]] void refuse(Bytes bytes);
  Bytes make_room(Bytes bytes);
  bool is_evictable(ValueKey key, const ValueState& value);
  double eviction_score(ValueKey key, const ValueState& value);

  StepOptions options_;
  ForeignCounter count_foreign_;
  Tape tape_;
  std::unique_ptr<Recorder> recorder_;
  StepOutcome outcome_;
  std::optional<BudgetExceededInfo> exceeded_;
  std::vector<SavedHandle*> handles_;  // by number; nullptr once gone
  std::unordered_map<std::int64_t, std::string> scope_by_sequence_;
  std::string current_op_;
  std::int32_t num_blocks_counted_ = 0;
  std::size_t next_unpack_ = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>>
      seen_ops_;            // flow and shape, while following
  bool has_acted_ = false;  // an action of the script was executed
  AllocationId first_allocation_ = 0;
  Bytes entry_bytes_ = 0;
  Bytes foreign_bytes_ = 0;       // first touched in this step
  std::int64_t num_dropped_ = 0;  // values dropped and not restored
  bool is_active_ = false;
  bool may_replay_ = false;  // ops are taped, saved tensors are handles
  bool is_following_ = false;
  bool is_busy_ = false;  // the runtime's own ops and frees
  bool is_making_room_ = false;
  bool is_optimizer_ = false;
  bool optimizer_had_begun_ = false;
};

}  // namespace tidemark
