// StepArena: the arena of one form of the step. It learns from two steps what they allocate, packs
// that, and serves the steps that follow from planned addresses.
//
// Steps that often differ from what was learned are learned anew, a few times; then it gives up and
// says so. Under a limit it serves a step only if its height and everything outside it fit. What a
// step leaves until the next one has made its like lies outside; where that leaves too little room,
// addresses are planned for two steps, in which it lies inside. Where even so nothing fits, the
// smallest blocks and a few large ones stay outside (scarce_room.h).
//
// Not thread-safe, but blocks may be freed by any thread.
#pragma once

#include <c10/core/Allocator.h>

#include <memory>
#include <string>

#include "tidemark/arena/address_plan.h"
#include "tidemark/runtime/allocation_trace.h"
#include "tidemark/runtime/planned_arena.h"

namespace tidemark {

// How often what happened, in all steps so far.
struct ArenaCounts {
  std::int64_t served = 0;  // allocations at planned addresses
  Bytes served_bytes = 0;
  std::int64_t fallen_back = 0;  // allocations of served steps from the first difference on
  std::int64_t mappings = 0;     // blocks of address space that were taken from the system
  bool operator==(const ArenaCounts&) const = default;
};

class StepArena {
 public:
  struct Options {
    bool is_debugging = false;
    Bytes limit = 0;  // of a step; kUnlimited: none
  };

  // `under`: where blocks come from that are not the arena's; must outlive all blocks. `counts`
  // must outlive this.
  StepArena(c10::Allocator& under, ArenaCounts& counts) : under_(under), counts_(counts) {}

  // Returns what the blocks of the step that begins come from; nullptr: as without an arena.
  c10::Allocator* begin_step(const Options& options);
  // `went_as_planned`: it came to its end and was of this form.
  void end_step(bool went_as_planned);
  // Gives back the memory in which nothing lives.
  void give_back_pages();
  // Serves and learns no more.
  void close();

  // What was learned last; nullptr: nothing.
  const AddressPlan* plan() const noexcept { return plan_.get(); }
  // The most bytes that live outside it in a step, beyond those at its begin.
  Bytes outside_growth() const noexcept { return outside_growth_; }
  // Bytes that the last step it could not serve lacked for it.
  Bytes missing_bytes() const noexcept { return missing_bytes_; }
  // Why the step that runs or ran last was not served, "" if it was.
  const std::string& why_not() const noexcept { return why_not_; }

 private:
  bool can_serve(const Options& options);
  c10::Allocator* follow_if_needed();
  bool fits(Bytes limit);
  // Bytes by which the step that begins would pass the limit, not positive if it would not.
  Bytes excess(Bytes limit);
  void learn();
  void plan_two_steps(Bytes limit);
  void leave_out(Bytes limit);
  void follow_plan(AddressPlan plan, const StepTrace& step);
  void note_success(bool is_success);

  c10::Allocator& under_;
  ArenaCounts& counts_;
  std::shared_ptr<AllocationTrace> trace_;  // while it learns
  // What plan_ was made from. It knows what the last step left outside the arena, if that one was
  // followed.
  std::shared_ptr<AllocationTrace> learned_;
  bool is_followed_ = false;    // unless the last step was neither noted nor served
  Bytes left_inside_ = 0;       // by the last step that was served or followed: it has slots
  bool has_overlaps_ = false;   // see StepTrace; plan_ is for one step
  bool has_tried_all_ = false;  // to find a plan that fits
  std::unique_ptr<AddressPlan> plan_;
  Bytes outside_growth_ = 0;
  PlannedArena::Owner arena_;
  std::string why_not_;
  Bytes missing_bytes_ = 0;
  bool is_serving_ = false;
  bool has_new_mapping_ = false;  // in the step that runs
  int num_failures_ = 0;          // served steps in a row that differed
  int num_learned_ = 0;
};

}  // namespace tidemark
