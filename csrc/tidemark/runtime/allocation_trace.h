// AllocationTrace: what two steps of one form allocate and free, in order, as a StepTrace.
//
// An allocator in front of another: it lets everything through and notes when each block is made
// and when it dies. Two steps in a row are needed: only the second one shows how long what outlives
// the first lives on. Time is counted in events, one per block made or freed.
//
// A copy of a complete one follows a further step, which is taken to be like those noted: it only
// finds out what that step leaves behind.
//
// THREADS: steps begin and end, and blocks are made, by one thread at a time; freed by any.
#pragma once

#include <c10/core/Allocator.h>

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "tidemark/arena/address_plan.h"
#include "tidemark/runtime/planned_arena.h"

namespace tidemark {

class AllocationTrace final : public c10::Allocator,
                              public std::enable_shared_from_this<AllocationTrace> {
 public:
  // `under`: where blocks come from; must outlive all of them. Owned by a shared_ptr: blocks that
  // live on keep it.
  explicit AllocationTrace(c10::Allocator& under) : under_(under) {}
  void begin_step();
  // `went_as_planned`: if not, the step is forgotten, and so is the one before.
  void end_step(bool went_as_planned);
  // Whether two steps in a row were the same. From then on nothing is noted but when blocks die
  // that outlived the second.
  bool is_complete() const noexcept { return num_steps_ == 2; }

  // Returns one that knows the same and follows the step that runs from now on. REQUIRES:
  // is_complete().
  std::shared_ptr<AllocationTrace> for_next_step() const;

  // The second step. REQUIRES: is_complete().
  StepTrace trace() const;

  // Bytes of the last step's blocks that still live and for which the plan has a slot. REQUIRES:
  // is_complete().
  Bytes outliving_bytes(const AddressPlan& plan) const;
  // Reserves those slots in an arena of this plan until the blocks die. REQUIRES: is_complete(),
  // and no step of the arena has begun.
  void reserve_outliving(const AddressPlan& plan, PlannedArena& arena);

  c10::DataPtr allocate(std::size_t bytes) override;
  void copy_data(void* dest, const void* src, std::size_t count) const override;

 private:
  struct Made;  // a block that lives
  Time tick(Bytes live_bytes);
  c10::DataPtr note(c10::DataPtr memory, std::size_t index);
  bool outlives(Bytes bytes);
  void note_end(std::int64_t step, std::size_t index);
  void note_late_end(std::int64_t step, std::size_t index);
  static void free_block(void* block);

  c10::Allocator& under_;
  mutable std::mutex mutex_;
  // Of the step before and of the one that runs or ran last. In the first, end_of_last is the time
  // in the second at which the block itself died.
  std::array<std::vector<TracedBlock>, 2> blocks_;
  std::vector<Bytes> live_bytes_;    // of everything that counts, per time of the last step
  std::int64_t step_ = 0;            // which one runs or ran last
  int num_steps_ = 0;                // of those noted, that ended
  std::set<std::size_t> outliving_;  // from is_complete() on: blocks of the last step that live
  PlannedArena* heir_ = nullptr;     // which has slots reserved for them; these keep it
  std::size_t heir_begin_ = 0;       // its slot of the first block
  std::size_t next_ = 0;             // block of the step that is followed
  bool is_running_ = false;
};

}  // namespace tidemark
