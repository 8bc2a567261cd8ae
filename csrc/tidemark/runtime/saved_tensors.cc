#include "tidemark/runtime/saved_tensors.h"

#include <ATen/SavedTensorHooks.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/graph_task.h>

#include <atomic>
#include <mutex>

#include "tidemark/base/export.h"
#include "tidemark/runtime/torch_compat.h"
#include "tidemark/trace/tap.h"

namespace tidemark {
namespace {

using torch::autograd::edge_list;
using torch::autograd::Engine;
using torch::autograd::GraphTask;
using torch::autograd::SavedVariableHooks;
using torch::autograd::variable_list;

std::atomic<SavedTensorFactory*> current_factory{nullptr};
thread_local SavedTensorScope* innermost_scope TIDEMARK_FAST_TLS = nullptr;

class EngineProxy final : public Engine {
 public:
  // `inner` is Python's engine, or nullptr in a program without Python: then this is the engine.
  explicit EngineProxy(Engine* inner) : inner_(inner) {}
  ~EngineProxy() override { stop(); }

  std::unique_ptr<SavedVariableHooks> get_default_saved_variable_hooks() override {
    const auto& state = at::SavedTensorDefaultHooks::get_tls_state();
    const bool may_hook = !state.is_tracing && !state.disabled_error_message;
    if (may_hook) {
      auto* scoped = SavedTensorScope::innermost(state.stack.size());
      if (scoped != nullptr) return scoped->make_hooks();
    }
    if (inner_ != nullptr && !state.stack.empty()) {
      if (auto hooks = inner_->get_default_saved_variable_hooks()) return hooks;
    }
    SavedTensorFactory* factory = current_factory.load(std::memory_order_relaxed);
    if (factory == nullptr || !may_hook || !is_tap_on()) return nullptr;
    return factory->make_hooks();
  }

  variable_list execute(const edge_list& roots, const variable_list& inputs, bool keep_graph,
                        bool create_graph, bool accumulate_grad,
                        const edge_list& outputs) override {
    Engine* engine = inner_;
    if (engine != nullptr) {
      return engine->execute(roots, inputs, keep_graph, create_graph, accumulate_grad, outputs);
    }
    return Engine::execute(roots, inputs, keep_graph, create_graph, accumulate_grad, outputs);
  }

  c10::intrusive_ptr<at::ivalue::Future> execute_with_graph_task(
      const std::shared_ptr<GraphTask>& task, NodePtr root,
      torch::autograd::InputBuffer&& buffer) override {
    if (inner_ != nullptr) {
      return inner_->execute_with_graph_task(task, std::move(root), std::move(buffer));
    }
    return Engine::execute_with_graph_task(task, std::move(root), std::move(buffer));
  }

  std::unique_ptr<torch::autograd::AnomalyMetadata> make_anomaly_metadata() override {
    return inner_ != nullptr ? inner_->make_anomaly_metadata() : Engine::make_anomaly_metadata();
  }

  void thread_on_exception(const std::shared_ptr<GraphTask>& task, const NodePtr& node,
                           std::exception& error) override {
    if (inner_ != nullptr) {
      inner_->thread_on_exception(task, node, error);
    } else {
      Engine::thread_on_exception(task, node, error);
    }
  }

  void thread_init(int device, const std::shared_ptr<torch::autograd::ReadyQueue>& queue,
                   bool should_increment) override {
    if (inner_ != nullptr) {
      inner_->thread_init(device, queue, should_increment);
    } else {
      Engine::thread_init(device, queue, should_increment);
    }
  }

 private:
  Engine* inner_;
};

EngineProxy* proxy = nullptr;

}  // namespace

void install_engine_proxy() {
  static std::once_flag installed;
  std::call_once(installed, [] {
    Engine& current = Engine::get_default_engine();
    // Never destroyed: autograd graphs may outlive everything of ours.
    proxy = new EngineProxy(&current == &Engine::get_base_engine() ? nullptr : &current);
    torch::autograd::set_default_engine_stub([]() -> Engine& { return *proxy; });
  });
}

void set_saved_tensor_factory(SavedTensorFactory* factory) noexcept {
  current_factory.store(factory);
}

SavedTensorScope::SavedTensorScope(SavedTensorFactory& factory)
    : factory_(factory),
      num_user_hooks_(at::SavedTensorDefaultHooks::get_tls_state().stack.size()),
      outer_(std::exchange(innermost_scope, this)) {}

SavedTensorScope::~SavedTensorScope() { innermost_scope = outer_; }

SavedTensorFactory* SavedTensorScope::innermost(std::size_t num_user_hooks) noexcept {
  const SavedTensorScope* scope = innermost_scope;
  return scope == nullptr || scope->num_user_hooks_ < num_user_hooks ? nullptr : &scope->factory_;
}

}  // namespace tidemark
