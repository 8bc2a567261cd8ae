// Holders: counts who holds something, and says who of them is the last to let it go.
//
// Holders come in one thread and go in any. A plain count of those who came and an atomic one of
// those who went take one atomic operation per holder instead of two.
#pragma once

#include <atomic>
#include <cstdint>

namespace tidemark {

class Holders {
 public:
  // One thread at a time; not after close.
  void come() noexcept { ++num_came_; }
  // Returns whether it was the last, and no more will come.
  bool go() noexcept {
    const std::int64_t count = num_went_.fetch_add(1, std::memory_order_acq_rel) + 1;
    return count == num_went_at_end_.load(std::memory_order_acquire);
  }
  // No more will come. Returns whether none is left. Closing goes as a holder does: whoever goes
  // last sees what it has stored before.
  bool close() noexcept {
    num_went_at_end_.store(num_came_ + 1, std::memory_order_release);
    return go();
  }

  // Before close: how many there are, to the thread in which they come.
  std::int64_t num_present() const noexcept {
    return num_came_ - num_went_.load(std::memory_order_acquire);
  }

 private:
  std::int64_t num_came_ = 0;
  std::atomic<std::int64_t> num_went_ = 0;
  std::atomic<std::int64_t> num_went_at_end_ = -1;  // -1: not closed
};

}  // namespace tidemark
