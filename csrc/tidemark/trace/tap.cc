#include "tidemark/trace/tap.h"

#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include <atomic>

#include "tidemark/runtime/torch_compat.h"

namespace tidemark {
namespace {

std::atomic<OpListener*> current_listener{nullptr};
std::atomic<OpRunner*> current_runner{nullptr};
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

void install() {
  if (is_installed) return;
  // A static TORCH_LIBRARY_IMPL would throw at load time if the key were taken.
  static auto* library = new torch::Library(torch::Library::IMPL, "_", kTapKey, __FILE__, __LINE__);
  library->fallback(torch::CppFunction::makeFromBoxedFunction<&tap>());
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
    return "this torch already owns the dispatch key Fake, which Tidemark's tap needs; "
           "planning still works";
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
}

bool is_tap_on() noexcept { return c10::impl::tls_is_dispatch_key_included(kTapKey); }

}  // namespace tidemark
