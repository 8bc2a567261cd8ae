// Tap: shows every leaf op but pure views to a listener, with real tensors, below autograd,
// after autocast and after decomposition.
//
// It is a boxed fallback on the dispatch key `Fake`, registered when first needed and only if
// nobody else owns the key. While the tap is off nothing of it is on any path.
//
// THREADS: on or off per thread; autograd's threads inherit the state of the thread that called
// backward. One listener at a time for the process.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <string>

#include "tidemark/base/export.h"

namespace tidemark {

class OpListener {
 public:
  virtual ~OpListener() = default;
  // Called instead of the op; runs it through `run_op`. The tap is off on this thread meanwhile.
  virtual void on_op(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
                     torch::jit::Stack* stack) = 0;
};

// Answers ops in place of torch's own kernels.
class OpRunner {
 public:
  virtual ~OpRunner() = default;
  // Takes the op's arguments from the stack and leaves its results.
  virtual void run(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
                   torch::jit::Stack* stack) = 0;
};

// Sets who runs the ops that the tap sees; nullptr: torch.
void set_op_runner(OpRunner* runner) noexcept;

// Runs the op of an on_op call: by the runner that was set, else below the tap.
void run_op(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack);

// Runs the op of an on_op call below the tap, whatever runner was set.
void run_op_below(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
                  torch::jit::Stack* stack);

// Returns "" if the tap can be (or is) installed, else the reason in a sentence.
TIDEMARK_API std::string tap_obstacle();

// Turns the tap on for the calling thread; nullptr: ops are run and shown to nobody. REQUIRES:
// tap_obstacle() is empty, the tap is off.
void enter_tap(OpListener* listener);
void leave_tap();

// Turns the tap on until the node of backward that runs on this thread has ended, in a backward
// that was called where it is off. REQUIRES: as enter_tap, which was called on another thread.
void enter_tap_for_node() noexcept;

// Turns the tap off for the calling thread until leave_tap. is_tap_on() stays true: what is saved
// is still of interest. Returns false and does nothing while a runner answers ops.
bool pause_tap() noexcept;

// Turns the tap off until the node of backward that runs on this thread has ended; the engine puts
// back the state that backward was called with before the next one. Does nothing outside of nodes
// and while a runner answers ops.
void leave_tap_for_node() noexcept;

// Whether the tap is on for the calling thread, paused, or off for the node that runs.
bool is_tap_on() noexcept;

}  // namespace tidemark
