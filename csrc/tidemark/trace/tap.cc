#include "tidemark/trace/tap.h"

#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/library.h>

#include <atomic>

#include "tidemark/runtime/torch_compat.h"
#include "tidemark/trace/op_facts.h"

namespace tidemark {
namespace {

constexpr int kNoTask = -1;

std::atomic<OpListener*> current_listener{nullptr};
std::atomic<OpRunner*> current_runner{nullptr};
// The backward in whose nodes the tap was left where it was on; those its nodes call are later.
thread_local int task_left_in TIDEMARK_FAST_TLS = kNoTask;
thread_local bool is_paused TIDEMARK_FAST_TLS = false;
bool is_installed = false;

void tap(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  c10::impl::ExcludeDispatchKeyGuard no_nested_ops(kTapKey);
  OpListener* listener = current_listener.load(std::memory_order_relaxed);
  if (listener == nullptr) {
    run_op(op, keys, stack);
  } else {
    listener->on_op(op, keys, stack);
  }
}

// Views show nothing that the consumers of their results do not show: they go by unboxed.
void let_views_pass(torch::Library& library) {
  auto& dispatcher = c10::Dispatcher::singleton();
  for (const auto& name : dispatcher.getAllOpNames()) {
    if (name.name.rfind("aten::", 0) != 0) continue;
    const auto op = dispatcher.findSchema(name);
    if (!op || !is_pure_view(op->schema())) continue;
    const std::string overload = name.overload_name.empty() ? "" : "." + name.overload_name;
    library.impl((name.name + overload).c_str(), torch::CppFunction::makeFallthrough());
  }
}

void install() {
  if (is_installed) return;
  // A static TORCH_LIBRARY_IMPL would throw at load time if the key were taken.
  static auto* library = new torch::Library(torch::Library::IMPL, "_", kTapKey, __FILE__, __LINE__);
  library->fallback(torch::CppFunction::makeFromBoxedFunction<&tap>());
  static auto* views =
      new torch::Library(torch::Library::IMPL, "aten", kTapKey, __FILE__, __LINE__);
  let_views_pass(*views);
  is_installed = true;
}

}  // namespace

void set_op_runner(OpRunner* runner) noexcept { current_runner.store(runner); }

void run_op(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  OpRunner* runner = current_runner.load(std::memory_order_relaxed);
  if (runner != nullptr) return runner->run(op, keys, stack);
  run_op_below(op, keys, stack);
}

void run_op_below(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
                  torch::jit::Stack* stack) {
  constexpr auto below = c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, kTapKey);
  op.redispatchBoxed(keys & below, stack);
}

std::string tap_obstacle() {
  if (is_installed) return "";
  if (c10::Dispatcher::singleton().hasBackendFallbackForDispatchKey(kTapKey)) {
    return "this torch already owns the dispatch key Fake, which Tidemark's tap needs";
  }
  return "";
}

void enter_tap(OpListener* listener) {
  install();
  current_listener.store(listener);
  c10::impl::tls_set_dispatch_key_included(kTapKey, true);
}

void leave_tap() {
  c10::impl::tls_set_dispatch_key_included(kTapKey, false);
  current_listener.store(nullptr);
  is_paused = false;
}

bool pause_tap() noexcept {
  if (current_runner.load(std::memory_order_relaxed) != nullptr) return false;
  c10::impl::tls_set_dispatch_key_included(kTapKey, false);
  is_paused = true;
  return true;
}

void enter_tap_for_node() noexcept { c10::impl::tls_set_dispatch_key_included(kTapKey, true); }

void leave_tap_for_node() noexcept {
  if (!c10::impl::tls_is_dispatch_key_included(kTapKey)) return;          // left already
  if (current_runner.load(std::memory_order_relaxed) != nullptr) return;  // it must see every op
  const int task = torch::autograd::get_current_graph_task_id();
  if (task == kNoTask) return;
  task_left_in = task;
  c10::impl::tls_set_dispatch_key_included(kTapKey, false);
}

bool is_tap_on() noexcept {
  if (is_paused || c10::impl::tls_is_dispatch_key_included(kTapKey)) return true;
  return task_left_in != kNoTask && torch::autograd::get_current_graph_task_id() >= task_left_in;
}

}  // namespace tidemark
