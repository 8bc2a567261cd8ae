// BackwardTurns: which thread runs the step's backward. One at a time.
//
// On the CPU a backward runs in the thread that calls it, so that two threads may be in the engine
// at once, in nodes of one step. The tape and the budget are one thread's: the second is refused
// before it has touched anything. One after the other is fine, and so is a backward that a node
// calls on its own thread.
//
// A turn ends with the graph task: its final callbacks end the turn, and hold it, so that it dies
// with a task that fails. Distributed autograd keeps the tasks of its context beyond their end.
//
// THREADS: enter and check_over may be called from any.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

namespace tidemark {

class BackwardTurns {
 public:
  // Takes the turn for the backward that runs on this thread; does nothing outside of one. Throws
  // c10::NotImplementedError while another thread has it.
  void enter();
  // Throws likewise if another thread has the turn, for ops outside of backward.
  void check_over();

 private:
  struct Turn {
    std::thread::id thread = std::this_thread::get_id();
    std::atomic<bool> is_over = false;
  };

  // The turn that this thread has, or none; throws if another has it. Call with `mutex_` held.
  std::shared_ptr<Turn> find_turn() const;

  std::atomic<int> task_ =
      -1;  // the graph task that entered last; the way of all but its first node
  std::mutex mutex_;
  std::weak_ptr<Turn> turn_;
};

}  // namespace tidemark
