// SpinLock: a lock for a few dozen instructions at a time, taken once per allocation.
//
// A std::mutex costs more than what it guards there. Use it with std::lock_guard.
#pragma once

#include <atomic>
#include <thread>

namespace tidemark {

class SpinLock {
 public:
  void lock() noexcept {
    while (flag_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
  }
  void unlock() noexcept { flag_.clear(std::memory_order_release); }

 private:
  std::atomic_flag flag_;
};

}  // namespace tidemark
