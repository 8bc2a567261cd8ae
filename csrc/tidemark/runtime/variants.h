// Variants: the recorded forms of a step, and which of them begin in a given state.
//
// The state at the entry of a step is the sizes of all blocks that are alive. Two states match when
// every block that the recorded step touched or let die has its like, and everything else is one of
// those that it left alone, or of a size that every step leaves behind (a list of losses).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tidemark/graph/graph.h"
#include "tidemark/plan/planner.h"
#include "tidemark/runtime/plan_script.h"
#include "tidemark/runtime/step.h"
#include "tidemark/runtime/step_allocator.h"

namespace tidemark {

struct Variant {
  // REQUIRES: script. With as much alive at entry as `live_bytes`.
  Bytes peak_bytes() const {
    return script->plan().peak_bytes + graph.entry.total_bytes() - script->entry_bytes();
  }

  // Whether no plan fits into `memory` even if nothing else is alive.
  bool can_never_fit(Bytes memory) const {
    return failure && failure->least_feasible_bytes - graph.entry.other_bytes > memory;
  }

  StepGraph graph;
  std::uint64_t graph_hash = 0;
  std::shared_ptr<const PlanScript> script;  // nullptr: no plan fits, or none was made yet
  std::optional<PlanFailure> failure;
  std::vector<Bytes> active;             // sorted sizes at entry: blocks it touched or let die
  std::vector<Bytes> untouched;          // sorted sizes at entry: what else was alive
  std::vector<Bytes> left_behind;        // sorted: those of it made since the step before began
  Bytes live_bytes = 0;                  // as its graph has it: at entry, and older ones touched
  std::uint64_t matching_live_hash = 0;  // of a state that is known to match
  Bytes arena_bytes = 0;                 // of the budget, left to what its arena takes on top
  int num_made_anew = 0;                 // plans, so that its arena fits
  Nanoseconds ns_without_arena = 0;      // predicted, of the first plan, once there is another
  int form = 0;                          // a number that it keeps when it is recorded again
  std::optional<int> followed_by;        // the form of the step after the last one of this form
};

// Whether `graph`, which has the plan's hash, takes what the plan promises, but for bytes that it
// does not touch.
bool keeps_promise(const PlanScript& script, const StepGraph& graph);

// Whether a plan from elsewhere may be followed to the letter in the step of `graph`: it has the
// step's own signature and breaks no rule.
bool is_valid_for(const PlanScript& script, const StepGraph& graph);

// What is alive when a step begins.
class EntryState {
 public:
  // `previous_step`: the first block that the step before could have made.
  explicit EntryState(AllocationId previous_step)
      : previous_step_(previous_step),
        live_bytes_(StepAllocator::instance().live_bytes()),
        live_hash_(StepAllocator::instance().live_sizes_hash()) {}
  Bytes live_bytes() const { return live_bytes_; }
  std::uint64_t live_hash() const { return live_hash_; }
  // Looked up at the first call, and kept. REQUIRES: until then, nothing was made or freed.
  const std::vector<LiveBlock>& blocks();
  // Whether the block was made since the step before began.
  bool is_recent(const LiveBlock& block) const { return block.id >= previous_step_; }

 private:
  AllocationId previous_step_;
  Bytes live_bytes_;
  std::uint64_t live_hash_;
  std::optional<std::vector<LiveBlock>> blocks_;
};

class Variants {
 public:
  bool empty() const { return variants_.empty(); }
  std::size_t size() const { return variants_.size(); }
  template <typename Visitor>
  void for_each(Visitor&& visit) {
    for (auto& variant : variants_) visit(*variant);
  }
  // The one used last. REQUIRES: !empty().
  Variant& newest() { return *variants_.front(); }
  const Variant& newest() const { return *variants_.front(); }

  // Whether all that the newest touched first is alive, and maybe more (optimizer state, in a
  // second step): no batch of another size. REQUIRES: !empty().
  bool may_be_newest(EntryState& entry) const;

  // Among those that begin in `entry`, the one that came after the last step's form before (a
  // generator and its critic take turns), else the one used last; or nullptr. It becomes the
  // newest.
  Variant* find(EntryState& entry);
  // The scripts of the others that begin in `entry`.
  std::vector<std::shared_ptr<const PlanScript>> alternatives_to(const Variant& variant,
                                                                 EntryState& entry);
  // The script of the latest variant whose entry state has as many blocks, some of them of other
  // sizes; nullptr if there is none.
  std::shared_ptr<const PlanScript> script_of_other_sizes(EntryState& entry) const;
  // The one with this script, nullptr if there is none.
  Variant* with(const PlanScript* script) {
    const Place found = with_script(script);
    return found == variants_.end() ? nullptr : found->get();
  }
  // The one with this script becomes the newest, if there is one.
  void note_use(const PlanScript* script);
  // The step that has ended had the form of this script; nullptr: that of no script.
  void note_form(const PlanScript* script);
  // Adds the recorded form of a step that began in `entry`; it becomes the newest. It takes the
  // place of a known form that began in the same state, with its plan if that still holds.
  Variant& add(StepGraph graph, const std::vector<AllocationId>& active_at_entry,
               EntryState& entry);

 private:
  using Place = std::vector<std::unique_ptr<Variant>>::iterator;
  // The end if there is none.
  Place with_script(const PlanScript* script);
  Place with_form(std::optional<int> form);
  Place expected_next();

  std::vector<std::unique_ptr<Variant>> variants_;  // most recently used first
  std::optional<int> last_form_;                    // of the last step; none: not known
  int num_forms_ = 0;
};

}  // namespace tidemark
