// StepAllocator: counts the bytes of CPU storages and asks before the budget would be passed.
//
// It delegates every allocation to the allocator it found when it was installed, so the profiler
// and a counter below it see exactly what they saw before; an arena may take that one's place for
// the blocks of a step. It does not decide anything: a StepObserver (the running step) is told of
// each block, and asked for room.
//
// THREADS: allocate and free may be called from any thread. Only the thread that set the observer
// reports to it; blocks that other threads make while an observer is set are not counted. What they
// free of those that count is kept for the observer to ask for.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/core/StorageImpl.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/base/record_map.h"
#include "tidemark/base/spin_lock.h"

namespace tidemark {

using AllocationId = std::int64_t;  // Grows with every allocation of the process; never reused.
inline constexpr AllocationId kNoAllocation = -1;

// Told of the blocks of the observing thread. Called without the allocator's lock held.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  // Called before a block of `bytes` is taken (see set_observer). May give memory back; may throw
  // to refuse.
  virtual void before_allocate(Bytes bytes) = 0;
  virtual void after_allocate(AllocationId id, Bytes bytes) = 0;
  virtual void after_free(AllocationId id, Bytes bytes) noexcept = 0;
};

struct LiveBlock {
  AllocationId id = kNoAllocation;
  Bytes bytes = 0;
};

class StepAllocator final : public c10::Allocator {
 public:
  static StepAllocator& instance() noexcept { return the_instance; }

  // Puts this allocator in front of the current CPU allocator, and takes it away again. Calls nest.
  // Blocks that are alive at the last release stay valid and are freed through it.
  void acquire();
  void release();

  // The allocator that it found. REQUIRES: acquired.
  c10::Allocator& under() const noexcept { return *under_; }
  // Where the blocks of the observing thread come from; nullptr: from under() like all others.
  void set_step_memory(c10::Allocator* memory) noexcept { step_memory_ = memory; }

  c10::DataPtr allocate(size_t bytes) override;
  c10::DeleterFnPtr raw_deleter() const override { return &StepAllocator::free_block; }
  void copy_data(void* dest, const void* src, std::size_t count) const override;

  // A block that is counted and reported like any other but takes no memory: its pointer has a
  // context and no data.
  c10::DataPtr allocate_dataless(size_t bytes);
  // The dataless blocks that are still alive count no longer.
  void stop_counting_dataless();

  // While one lives, blocks that this thread makes are neither counted nor reported, but by it.
  class Unobserved {
   public:
    Unobserved() : outer_(innermost) { innermost = this; }
    ~Unobserved() { innermost = outer_; }
    Unobserved(const Unobserved&) = delete;
    Unobserved& operator=(const Unobserved&) = delete;

    // Bytes made by this thread minus bytes that it freed meanwhile, and the most of it.
    Bytes live_bytes() const noexcept { return live_; }
    Bytes peak_bytes() const noexcept { return peak_; }

   private:
    friend class StepAllocator;
    static bool is_any() noexcept { return innermost != nullptr; }
    void note(Bytes bytes) noexcept {
      live_ += bytes;
      peak_ = std::max(peak_, live_);
    }
    inline static thread_local Unobserved* innermost TIDEMARK_FAST_TLS = nullptr;
    Unobserved* outer_;
    Bytes live_ = 0;
    Bytes peak_ = 0;
  };

  // Who is told of this thread's blocks; nullptr: nobody. Without `wants_blocks` it is only asked
  // for room, and that where more than `limit` bytes would be alive.
  void set_observer(StepObserver* observer, bool wants_blocks = false, Bytes limit = kUnlimited);
  bool has_observer() const noexcept { return observer_.load() != nullptr; }
  // From now on it is told of this thread's blocks instead. REQUIRES: an observer is set.
  void observe_this_thread() noexcept { observer_thread_ = this_thread(); }
  bool observes_this_thread() const noexcept {
    return observer_thread_.load(std::memory_order_relaxed) == this_thread();
  }

  // Blocks that other threads have freed since the last call, in order, for an observer that wants
  // blocks.
  std::vector<LiveBlock> take_freed_elsewhere();

  // Whether `storage` is a block of this allocator that counted when it was made (all but dataless
  // ones count until they die); takes no lock.
  static bool is_counted(const c10::StorageImpl& storage) noexcept {
    return pointer_of(storage).get_deleter() == &StepAllocator::free_block;
  }

  // Bytes of counted live blocks, and of foreign storages that were added.
  Bytes live_bytes() const noexcept { return live_.load(std::memory_order_relaxed); }
  void add_foreign(Bytes bytes);
  // The largest live_bytes() since the last reset; reset sets it to live_bytes().
  Bytes peak_bytes() const;
  void reset_peak();

  AllocationId next_id() const;
  AllocationId id_of(const c10::StorageImpl& storage) const;  // kNoAllocation if it does not count
  std::vector<LiveBlock> live_blocks() const;                 // sorted by id
  // Equal, but for rare accidents, when the same number of blocks of the same sizes counts.
  std::uint64_t live_sizes_hash() const;

  // Bytes of blocks that other threads made while a step ran.
  Bytes uncounted_bytes() const;

 private:
  struct Block {
    AllocationId id = kNoAllocation;
    Bytes bytes = 0;
    void* context = nullptr;  // how the allocator under ours is told of the end
    c10::DeleterFnPtr deleter = nullptr;
    bool is_counted = false;
    bool is_dataless = false;
  };
  struct Immortal;  // never destroyed: StorageImpl keeps pointers to it
  constexpr StepAllocator() = default;
  // Two functions that do the same: which of them a block has says whether it counts.
  static void free_block(void* data);
  static void free_uncounted_block(void* data) { free_block(data); }
  bool is_observed() const noexcept {
    return observer_.load(std::memory_order_relaxed) != nullptr && observes_this_thread() &&
           !Unobserved::is_any();
  }
  // Whether the observer is to be asked before `bytes` more.
  bool must_ask(Bytes bytes) const noexcept;
  // The address of a variable of its own tells a thread that lives from all others.
  static const void* this_thread() noexcept { return &Unobserved::innermost; }
  // The storage's pointer, past the check of the accessors, which refuse where there is no data.
  static const c10::DataPtr& pointer_of(const c10::StorageImpl& storage) noexcept {
    return const_cast<c10::StorageImpl&>(storage)._mutable_data_ptr_no_checks();
  }
  // Enters a block under `key`, takes over its owner, and returns how it is to be freed.
  c10::DeleterFnPtr enter(const void* key, Bytes bytes, c10::DataPtr&& owner, bool is_dataless,
                          bool is_observed_here);
  // REQUIRES of these: lock_ is held
  void add_live(Bytes bytes) noexcept;
  void add_live_block(Bytes bytes) noexcept;
  void remove_live_block(Bytes bytes) noexcept;
  TIDEMARK_RARE void note_uncounted(Bytes bytes) noexcept;
  TIDEMARK_RARE void note_freed_elsewhere(const Block& block);

  static StepAllocator& the_instance;
  mutable SpinLock lock_;
  RecordMap<Block> blocks_;
  c10::Allocator* under_ = nullptr;
  int num_users_ = 0;
  std::atomic<c10::Allocator*> step_memory_ = nullptr;
  std::atomic<StepObserver*> observer_ = nullptr;
  std::atomic<const void*> observer_thread_ = nullptr;
  std::atomic<bool> observer_wants_blocks_ = false;
  std::atomic<Bytes> limit_ = kUnlimited;
  std::vector<LiveBlock> freed_elsewhere_;
  std::atomic<bool> has_freed_elsewhere_ = false;
  std::atomic<Bytes> live_ = 0;  // written under lock_
  std::uint64_t live_sizes_hash_ = 0;
  Bytes peak_ = 0;
  Bytes uncounted_ = 0;
  AllocationId next_id_ = 0;
};

}  // namespace tidemark
