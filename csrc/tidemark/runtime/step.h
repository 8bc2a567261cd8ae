// Step: one training step while it runs, watched, following a plan, or both.
//
// It listens to ops (tap), saved tensors (engine hooks) and allocations (allocator) of the thread
// that began it. Watched, it records a StepGraph (StepWatcher) and holds the budget by giving back
// saved values (evict). Following, it executes a plan (PlanFollower). A step that follows plans
// which drop nothing only counts and compares: it has no tape and makes no handles.
//
// Once ended, it lives as long as there are saved-tensor handles: a graph that outlives the step
// can still be run.
#pragma once

#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/base/holders.h"
#include "tidemark/runtime/backward_turns.h"
#include "tidemark/runtime/budget_exceeded.h"
#include "tidemark/runtime/foreign_storages.h"
#include "tidemark/runtime/plan_follower.h"
#include "tidemark/runtime/plan_script.h"
#include "tidemark/runtime/saved_tensors.h"
#include "tidemark/runtime/step_allocator.h"
#include "tidemark/runtime/step_watcher.h"
#include "tidemark/runtime/tape.h"
#include "tidemark/runtime/write_check.h"
#include "tidemark/trace/tap.h"

namespace tidemark {

struct StepOptions {
  Bytes limit = kUnlimited;
  std::shared_ptr<const PlanScript> script;  // nullptr: none to follow
  // Further scripts that begin alike; followed from the first op on where `script` differs.
  std::vector<std::shared_ptr<const PlanScript>> alternatives;
  bool is_exact = false;  // the scripts were made for this entry state
  bool record = true;
  // Whether a step whose plan is done may run its tail (PlanScript::tail_begin) unobserved.
  bool may_leave_tail = true;
  bool check_writes = false;  // REQUIRES: record. Finds writes that no op announces (WriteCheck)
  PlaceFinder find_place;     // asked per forward op while recording; may be empty
};

struct StepOutcome {
  StepKind kind = StepKind::kWatched;
  Bytes peak_bytes = 0;
  std::optional<Bytes> promised_bytes;  // of the plan that was followed
  std::int64_t num_replays = 0;
  Bytes tape_bytes = 0;
  Bytes foreign_bytes = 0;                    // of storages not the allocator's, touched first
  std::string difference;                     // the first, if adapted or diverged
  std::optional<UnknownForm> unknown_form;    // how it began, if no script knew it
  bool has_surprising_tail = false;           // it ran unobserved and was not what was expected
  std::shared_ptr<const PlanScript> script;   // what was followed last
  std::optional<StepGraph> graph;             // if recorded and not aborted
  std::vector<AllocationId> active_at_entry;  // blocks older than the step that it touched or that
                                              // died in it; of recorded steps
};

class SavedHandle;

class Step final : public std::enable_shared_from_this<Step>,
                   public OpListener,
                   public SavedTensorFactory,
                   public StepObserver {
 public:
  // `foreign`: what counts beside the blocks of the allocator; must outlive the step's end.
  Step(StepOptions options, ForeignStorages& foreign);
  ~Step() override;

  void begin();
  // Ends the step; `aborted`: an exception leaves it.
  StepOutcome end(bool aborted);
  bool is_recording() const { return watcher_ != nullptr; }
  bool optimizer_had_begun() const { return optimizer_had_begun_; }
  const std::optional<BudgetExceededInfo>& exceeded() const { return exceeded_; }
  // What the check of writes has found, "" if nothing.
  const std::string& unseen_write() const { return unseen_write_; }

  void on_op(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
             torch::jit::Stack* stack) override;
  std::unique_ptr<torch::autograd::SavedVariableHooks> make_hooks() override;
  void before_allocate(Bytes bytes) override;
  void after_allocate(AllocationId id, Bytes bytes) override;
  void after_free(AllocationId id, Bytes bytes) noexcept override;

 private:
  friend class SavedHandle;

  void pack(SavedHandle& handle, const at::Tensor& tensor);
  at::Tensor unpack(SavedHandle& handle);
  TIDEMARK_RARE void record_unpack(const SavedHandle& handle);
  TIDEMARK_RARE void follow_backward_here();
  void release(SavedHandle& handle) noexcept;
  // Destroys the step with the last handle, if nobody else holds it.
  void destroyed_handle() noexcept;
  bool retains_gradient(const at::Tensor& tensor) const;
  TIDEMARK_RARE bool retains_asked_gradient(const at::Tensor& tensor) const;
  bool may_hold(const at::Tensor& tensor, ValueKey key) const;
  void manage(SavedHandle& handle, const at::Tensor& tensor);
  void manage_all();

  void untaped_op(const c10::OperatorHandle& op, const OpFacts& facts, c10::DispatchKeySet keys,
                  torch::jit::Stack* stack);
  void tape_from_here();
  void leave_tail();
  void taped_op(const c10::OperatorHandle& op, const OpFacts& facts, c10::DispatchKeySet keys,
                torch::jit::Stack* stack);
  void backward_op(const c10::OperatorHandle& op, const OpFacts& facts, c10::DispatchKeySet keys,
                   torch::jit::Stack* stack);
  void check_before_op(const OpFacts& facts, at::ArrayRef<c10::IValue> args);
  void check_before_serving(ValueKey key, const Ref& source);
  void note_writes(const OpFacts& facts, at::ArrayRef<c10::IValue> args);
  void restore_dependants(const TapedOp& writer);
  void restore(ValueState& value);
  void trade_anchors_for_values();

  void note_freed_elsewhere();
  void count_foreign_args(at::ArrayRef<c10::IValue> args);
  void count_foreign_blocks() {
    if (num_sources_counted_ < tape_.num_sources()) count_foreign_sources();
  }
  TIDEMARK_RARE void count_foreign_sources();
  void count_foreign(c10::StorageImpl* storage);
  Bytes missing_bytes(Bytes bytes) const;
  Bytes promised_bytes() const;
  bool is_tight(Bytes bytes) const;
  [[noreturn]] void refuse(Bytes bytes, Bytes missing);
  bool is_lost(const ValueState& value);
  void make_room(Bytes bytes);
  void give_up_anchors(Bytes enough);

  // A storage of somebody else's that counts from here on.
  struct ForeignTouch {
    std::size_t num_ops;  // forward ops that had ended
    Bytes bytes;
  };

  StepOptions options_;
  ForeignStorages* foreign_;
  Tape tape_;
  // Of handles alone: backward reads them one after the other.
  std::pmr::monotonic_buffer_resource handle_memory_{std::size_t{1} << 16};
  std::vector<SavedHandle*> handles_;  // by number; nullptr once gone
  Holders handles_alive_;
  std::shared_ptr<Step> kept_by_handles_;  // the step, once ended, while there are handles
  bool is_busy_ = false;                   // the runtime's own ops and frees
  BackwardTurns turns_;
  PlanFollower follower_;
  std::unique_ptr<StepWatcher> watcher_;
  std::unique_ptr<WriteCheck> write_check_;  // nullptr: writes are not checked
  std::string unseen_write_;
  std::optional<BudgetExceededInfo> exceeded_;
  std::vector<AllocationId> died_of_entry_;
  std::int64_t num_restoring_replays_ = 0;  // beside those of the plan
  std::int64_t num_plain_holds_ = 0;
  std::uint64_t num_nodes_at_last_op_ = 0;  // of autograd, by this thread, when it began
  // When the last op began that wrote a tensor whose gradient is retained.
  std::uint64_t num_nodes_at_retained_write_ = 0;
  std::int32_t num_blocks_counted_ = 0;
  std::int32_t num_sources_counted_ = 0;  // of the tape, when they were
  AllocationId first_allocation_ = 0;
  Bytes entry_bytes_ = 0;
  Bytes foreign_bytes_ = 0;   // first touched in this step
  Bytes given_up_bytes_ = 0;  // of anchors that the budget had no room for
  std::vector<ForeignTouch> foreign_touches_;
  bool is_active_ = false;
  bool is_away_ = false;   // a backward called in another thread runs, or was the last to run
  bool is_taped_ = false;  // ops are taped, saved tensors are handles
  bool is_tail_left_ = false;
  bool has_saved_in_tail_ = false;
  bool is_making_room_ = false;
  bool optimizer_had_begun_ = false;
};

}  // namespace tidemark
