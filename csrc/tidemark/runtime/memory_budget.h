// MemoryBudget: holds training steps to a number of bytes.
//
//   tidemark::MemoryBudget budget{tidemark::gib(6)};
//   for (auto& batch : *loader) {
//     auto step = budget.step();
//     auto loss = loss_fn(model->forward(batch.data), batch.target);
//     loss.backward(); optimizer.step(); optimizer.zero_grad();
//   }
//
// The first steps are watched (and already held to the budget); a step that begins like one that
// was watched follows a plan. Losses, gradients, parameters, buffers and generator state are
// bitwise what they would be without it. While one is open the CPU allocator is Tidemark's, in
// front of the one it found.
//
// What counts: storages that the thread of the step allocates between entry and exit, until they
// die; everything alive that Tidemark's allocator made; older storages from the first touch on.
//
// Not thread-safe; one step at a time in the process.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/graph/graph.h"
#include "tidemark/plan/plan.h"
#include "tidemark/plan/planner.h"
#include "tidemark/report/report.h"
#include "tidemark/runtime/arenas.h"
#include "tidemark/runtime/foreign_storages.h"
#include "tidemark/runtime/named_scope.h"
#include "tidemark/runtime/step.h"
#include "tidemark/runtime/variants.h"

namespace tidemark {

struct MemoryBudgetOptions {
  std::string policy = "auto";
  double time_limit_s = 10.0;
  // A plan made elsewhere, followed until the step's own variants are known.
  std::optional<Plan> plan;
  // Whether planned steps are served from an arena: see arenas.h.
  ArenaUse arena = ArenaUse::kAuto;
  // Finds writes that no op announces, by checksums: slow, a debugging aid. See write_check.h.
  bool check_writes = false;
  // Storages to count from the start, parameters and optimizer state, say.
  std::vector<at::Tensor> track;
};

// What is known of the last step that ended.
struct LastStep {
  StepKind kind = StepKind::kWatched;
  Bytes peak_bytes = 0;
  std::optional<Bytes> promised_bytes;
  std::int64_t num_replays = 0;
  Bytes tape_bytes = 0;
  std::string difference;
};

// Thrown at step(): no plan fits. Carries what a planner said.
class TIDEMARK_API BudgetInfeasible : public std::invalid_argument {
 public:
  BudgetInfeasible(PlanFailure why, const Event& floor_event);
  const PlanFailure& failure() const noexcept { return failure_; }
  const std::string& op() const noexcept { return op_; }  // the op that sets the floor
  const std::string& scope() const noexcept { return scope_; }
  const std::string& source() const noexcept { return source_; }

 private:
  PlanFailure failure_;
  std::string op_;
  std::string scope_;
  std::string source_;
};

class TIDEMARK_API MemoryBudget {
 public:
  explicit MemoryBudget(Bytes memory, MemoryBudgetOptions options = {});
  ~MemoryBudget();
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // A step, from construction to destruction.
  class Scope {
   public:
    explicit Scope(MemoryBudget& budget);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    MemoryBudget& budget_;
    int num_exceptions_;
  };
  [[nodiscard]] Scope step() { return Scope(*this); }

  // The two halves of a step. enter throws BudgetInfeasible before anything has run, and
  // std::logic_error in a step. leave(true): an exception leaves the step.
  void enter();
  void leave(bool aborted);

  // Holds the steps from now on to `memory`; their known forms are planned anew. Throws
  // std::logic_error in a step.
  void set_memory(Bytes memory);

  // Gives the allocator back; further steps throw. Also done by the destructor.
  void close();

  bool is_in_step() const noexcept { return step_ != nullptr; }
  // Whether the step that runs is being recorded.
  bool is_watching() const noexcept { return step_ != nullptr && step_->is_recording(); }
  Bytes memory() const noexcept { return memory_; }
  const StepCounts& counts() const noexcept { return counts_; }
  const LastStep& last_step() const noexcept { return last_; }
  // The largest peak of any step so far.
  Bytes peak_bytes() const noexcept { return peak_; }
  double plan_seconds() const noexcept { return plan_seconds_; }
  std::int64_t num_variants() const noexcept { return static_cast<std::int64_t>(variants_.size()); }
  std::int64_t num_cache_hits() const noexcept { return num_cache_hits_; }
  // Of the variant used last; nullptr before the first step has ended.
  const StepGraph* graph() const noexcept;
  const Plan* plan() const noexcept;
  const Arenas& arenas() const noexcept { return arenas_; }
  // Why the last watched allocation was refused, if it was.
  const std::optional<BudgetExceededInfo>& exceeded() const noexcept { return exceeded_; }
  // What check_writes has found in the last step, "" if nothing.
  const std::string& unseen_write() const noexcept { return unseen_write_; }

  // Asked per forward op of watched steps, instead of the names that scope() gave (named_scope.h);
  // Python sets it to module path and source line.
  void set_place_finder(PlaceFinder finder) { find_place_ = std::move(finder); }

 private:
  void count_tracked();
  void choose_plan(StepOptions& options);
  // Returns the script of the form that the step had; nullptr if that is not known.
  const PlanScript* learn_from(StepOutcome& outcome);
  void watch_for(std::optional<UnknownForm> form);
  void plan_variant(Variant& variant);
  void make_room_for_arena(const PlanScript* script);
  Bytes foreign_to_come() const;
  std::shared_ptr<const PlanScript> script_within_budget(Variant& variant);
  void count(const StepOutcome& outcome);
  [[noreturn]] static void refuse(const Variant& variant);

  Bytes memory_;
  MemoryBudgetOptions options_;
  Variants variants_;
  std::shared_ptr<const PlanScript> prior_;
  std::shared_ptr<Step> step_;
  std::unique_ptr<EntryState> entry_;       // of the step that runs
  bool is_debugged_ = false;                // the step that runs
  std::optional<AllocationId> last_begin_;  // the first block that it could make
  ForeignStorages foreign_;
  // First touched in the last step, and in the one before.
  Bytes foreign_of_last_ = 0;
  Bytes foreign_before_last_ = 0;
  Arenas arenas_;
  PlaceFinder find_place_ = named_place;
  StepCounts counts_;
  LastStep last_;
  Bytes peak_ = 0;
  double plan_seconds_ = 0;
  std::int64_t num_cache_hits_ = 0;
  std::optional<BudgetExceededInfo> exceeded_;
  std::string unseen_write_;
  bool is_open_ = true;
  // How many more steps to watch until a form of the step is recorded that no plan knew.
  int num_to_watch_ = 0;
  std::optional<UnknownForm> unknown_form_;
  bool may_leave_tail_ = true;
};

}  // namespace tidemark
