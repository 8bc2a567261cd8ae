// PlanFollower: compares a running step with the step a plan was made for, and executes the plan.
//
// It finds its place by two counters, forward ops and unpacks. While everything is equal the step
// is planned; from the first op on that has other sizes it is adapted (the plan's decisions still
// hold); from the first other op or unpack on it is diverged and the plan is left.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/runtime/plan_script.h"
#include "tidemark/runtime/replay.h"
#include "tidemark/runtime/tape.h"
#include "tidemark/trace/recorder.h"

namespace tidemark {

class SavedHandle;

enum class StepKind { kWatched, kPlanned, kAdapted, kDiverged };

// How a step began that no script knows: what they agree on, and the op that differed.
struct UnknownForm {
  std::shared_ptr<const PlanScript> script;  // equal up to op `num_equal`
  std::size_t num_equal = 0;
  std::uint64_t name_hash = 0;
  std::uint64_t shape_hash = 0;

  // Whether a step with these ops begins like that.
  bool is_start_of(const std::vector<ExpectedOp>& ops) const;
};

// What of an op is compared; an op that is not taped has no flow.
struct OpHashes {
  std::uint64_t name;
  std::optional<std::uint64_t> flow;
  std::uint64_t shape;
};

class PlanFollower {
 public:
  // `script` may be nullptr: nothing to follow. `alternatives` begin alike and are followed from
  // the first op on where `script` differs. `is_exact`: made for this entry state.
  // `handles`: the step's, by number. `is_busy` is set while actions run.
  PlanFollower(Tape& tape, std::vector<SavedHandle*>& handles, bool& is_busy,
               std::shared_ptr<const PlanScript> script,
               std::vector<std::shared_ptr<const PlanScript>> alternatives, bool is_exact);

  // Who is told when a plan keeps a value as recorded; nullptr: nobody.
  void set_recorder(Recorder* recorder) { recorder_ = recorder; }

  bool is_following() const { return is_following_; }
  StepKind kind() const { return kind_; }
  const std::shared_ptr<const PlanScript>& script() const { return script_; }
  const std::string& difference() const { return difference_; }
  const std::optional<UnknownForm>& unknown_form() const { return unknown_form_; }
  std::int64_t num_replays() const { return num_replays_; }
  // How many forward ops have ended.
  std::size_t next_op() const { return next_op_; }

  // Whether saved values may have to be computed again.
  bool drops_anything() const;
  // Whether every action of the plan is executed and everything it dropped is restored or gone.
  bool is_done() const;
  // Whether every action so far and to come leaves the block alone, whatever is followed.
  bool leaves_alone(std::int32_t block) const;
  // Whether the rest of the step can do without it: the plan is done, backward is over, and what
  // followed was known so far.
  bool is_in_tail() const;

  // Something was given back that the plan counts on. Its decisions still hold; what they take is
  // looked for from now on.
  void note_eviction();

  // Follows no further.
  void leave_plan() { is_following_ = false; }

  // A forward op has ended. Without a tape only its name and the shapes of its results count.
  void op_ended(const TapedOp& op, at::ArrayRef<c10::IValue> returns);
  void untaped_op_ended(const OpFacts& facts, at::ArrayRef<c10::IValue> returns);
  // No op follows. Of the scripts that could still be followed, it was the one that ends here.
  void step_ended();
  // `first` is about to be served and is not part of an unpack that was already seen.
  void before_unpack(const SavedHandle& first);

 private:
  // nullptr: the step was to have ended.
  const ExpectedOp* expected_op() const;
  // The op that has ended is not the expected one.
  TIDEMARK_RARE void note_difference(const OpFacts& facts, const OpHashes& hashes);
  bool switch_script(const OpHashes& hashes);
  bool can_take_over(const PlanScript& other) const;
  // A tensor is unpacked that was not to be unpacked here.
  TIDEMARK_RARE void note_other_unpack(const SavedHandle& first);
  void act(const EventActions& actions, c10::ArrayRef<SavedHandle*> served);
  std::vector<Action> possible_part(const std::vector<Action>& asked);
  void execute(const std::vector<Action>& actions, c10::ArrayRef<SavedHandle*> served);
  void hold_anchors(ValueState& value, AnchorSearch& search);
  void secure_dropped();
  bool is_dropped_by(const std::vector<Action>& actions, ValueKey key) const;
  void keep(ValueKey key, RestoredValues& restored);
  void drop(ValueState& value);
  void differ(StepKind kind, std::string what);
  ValueKey key_of(ValueIndex value) const;
  bool may_switch() const {
    return kind_ == StepKind::kPlanned && num_executed_ == 0 && !alternatives_.empty();
  }

  Tape& tape_;
  std::vector<SavedHandle*>& handles_;
  bool& is_busy_;
  Recorder* recorder_ = nullptr;
  std::shared_ptr<const PlanScript> script_;
  std::vector<std::shared_ptr<const PlanScript>> alternatives_;
  StepKind kind_;
  std::string difference_;
  std::optional<UnknownForm> unknown_form_;
  std::int64_t num_replays_ = 0;
  std::size_t next_op_ = 0;
  std::size_t next_unpack_ = 0;
  std::size_t num_executed_ = 0;  // events whose actions were executed
  bool is_following_;
};

}  // namespace tidemark
