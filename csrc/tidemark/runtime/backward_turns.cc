#include "tidemark/runtime/backward_turns.h"

#include <c10/util/Exception.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/graph_task.h>

namespace tidemark {
namespace {

constexpr int kNoTask = -1;

[[noreturn]] void refuse() {
  TORCH_CHECK_NOT_IMPLEMENTED(
      false,
      "tidemark: two threads work on one step at once, one of them in backward. Let one wait for "
      "the other (join the thread of the first backward before the second begins), or sum the "
      "losses and call backward once");
}

}  // namespace

void BackwardTurns::enter() {
  const int task = torch::autograd::get_current_graph_task_id();
  if (task == kNoTask || task == task_.load(std::memory_order_relaxed)) return;
  const std::lock_guard lock(mutex_);
  auto turn = find_turn();
  if (turn == nullptr) {
    turn = std::make_shared<Turn>();
    turn_ = turn;
    torch::autograd::Engine::get_base_engine().queue_callback([turn] { turn->is_over = true; });
  }
  task_.store(task, std::memory_order_relaxed);
}

void BackwardTurns::check_over() {
  const std::lock_guard lock(mutex_);
  find_turn();
}

std::shared_ptr<BackwardTurns::Turn> BackwardTurns::find_turn() const {
  auto turn = turn_.lock();
  if (turn == nullptr || turn->is_over) return nullptr;
  if (turn->thread != std::this_thread::get_id()) refuse();
  return turn;
}

}  // namespace tidemark
