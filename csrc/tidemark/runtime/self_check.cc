#include "tidemark/runtime/self_check.h"

#include <ATen/Functions.h>
#include <ATen/autocast_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/graph_task.h>

#include <algorithm>
#include <exception>
#include <thread>

#include "tidemark/runtime/generator_state.h"
#include "tidemark/runtime/saved_tensors.h"
#include "tidemark/runtime/step_allocator.h"
#include "tidemark/runtime/tape.h"
#include "tidemark/runtime/torch_compat.h"
#include "tidemark/trace/tap.h"

namespace tidemark {
namespace {

at::Tensor numbers(at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) {
  const std::int64_t count = c10::multiply_integers(sizes);
  return at::arange(1, count + 1, at::TensorOptions(at::kFloat))
      .mul(0.37)
      .sin()
      .to(dtype)
      .reshape(sizes);
}

// ---- the tap

struct SeenOp {
  std::string name;
  at::ScalarType dtype = at::kFloat;  // of the first argument
  bool is_below_autograd = false;
  bool is_in_backward = false;
};

class Witness final : public OpListener {
 public:
  Witness() { enter_tap(this); }
  ~Witness() override { leave_tap(); }

  void on_op(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
             torch::jit::Stack* stack) override {
    const auto args = torch::jit::last(*stack, op.schema().arguments().size());
    SeenOp& seen = ops_.emplace_back();
    seen.name = op.schema().name();
    if (!args.empty() && args[0].isTensor()) seen.dtype = args[0].toTensor().scalar_type();
    seen.is_below_autograd =
        c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::AutogradFunctionality);
    seen.is_in_backward = torch::autograd::get_current_graph_task_id() != -1;
    run_op_below(op, keys, stack);
  }

  const SeenOp* find(std::string_view name) const {
    auto is_it = [&](const SeenOp& op) { return op.name == name; };
    const auto found = std::find_if(ops_.begin(), ops_.end(), is_it);
    return found == ops_.end() ? nullptr : &*found;
  }
  bool has_backward() const {
    return std::any_of(ops_.begin(), ops_.end(), [](auto& op) { return op.is_in_backward; });
  }

 private:
  std::vector<SeenOp> ops_;
};

std::string check_ops_below_autograd() {
  at::Tensor x = numbers({3}).requires_grad_();
  Witness witness;
  at::square(x).sum().backward();  // square is composite
  const SeenOp* leaf = witness.find("aten::pow");
  if (witness.find("aten::square") != nullptr) return "the tap sees composite ops";
  if (leaf == nullptr) return "the tap does not see the leaf ops that composite ones are made of";
  if (!leaf->is_below_autograd) return "the tap lies above autograd";
  if (!witness.has_backward()) return "the tap does not see what backward runs";
  return "";
}

std::string check_ops_below_autocast() {
  const at::Tensor x = numbers({3}, at::kBFloat16);
  Witness witness;
  at::autocast::set_autocast_enabled(at::kCPU, true);
  at::prod(x);  // one of the ops that autocast runs in float32
  const SeenOp* op = witness.find("aten::prod");
  if (op == nullptr) return "the tap does not see ops under autocast";
  return op->dtype == at::kFloat ? "" : "the tap lies above autocast";
}

// ---- saved tensors

struct Counts {
  int packed = 0;
  int unpacked = 0;
  int gone = 0;
};

class CountingHooks final : public torch::autograd::SavedVariableHooks {
 public:
  explicit CountingHooks(Counts& counts) : counts_(counts) {}
  ~CountingHooks() override { ++counts_.gone; }
  void call_pack_hook(const at::Tensor& tensor) override {
    ++counts_.packed;
    tensor_ = tensor.detach();
  }
  at::Tensor call_unpack_hook() override {
    ++counts_.unpacked;
    return tensor_;
  }

 private:
  Counts& counts_;
  at::Tensor tensor_;
};

class CountingFactory final : public SavedTensorFactory {
 public:
  CountingFactory() { set_saved_tensor_factory(this); }
  ~CountingFactory() override { set_saved_tensor_factory(nullptr); }
  std::unique_ptr<torch::autograd::SavedVariableHooks> make_hooks() override {
    return std::make_unique<CountingHooks>(counts);
  }
  Counts counts;
};

std::string check_saved_tensors() {
  install_engine_proxy();
  CountingFactory factory;
  at::Tensor x = numbers({3}).requires_grad_();
  {
    Witness tap_is_on;
    const at::Tensor loss = at::exp(x).sum();
    if (factory.counts.packed != 1) return "what autograd saves does not pass the engine's hooks";
    loss.backward();
    if (factory.counts.unpacked != 1) return "backward does not ask the hooks for what was saved";
  }
  return factory.counts.gone == 1 ? "" : "hooks outlive the graph that they belong to";
}

std::string check_version_counters() {
  at::Tensor x = numbers({4});
  const c10::VariableVersion counter = x.unsafeGetTensorImpl()->version_counter();
  const auto before = counter.current_version();
  x.add_(1);
  x.view({2, 2}).mul_(2);
  {
    const at::NoGradGuard no_grad;
    x.add_(1);
  }
  const auto writes = counter.current_version() - before;
  if (writes == 3) return "";
  return "three writes in place counted as " + std::to_string(writes);
}

std::string check_references() {
  const at::Tensor x = at::empty({4}, at::kFloat);
  const SeenStorage seen(x.unsafeGetTensorImpl()->unsafe_storage().unsafeGetStorageImpl(), 0, 0);
  if (seen.weak.use_count() != 1) return "a tensor is not its storage's only reference";
  const at::Tensor view = x.alias();
  if (seen.weak.use_count() != 2) return "a view is not one more reference to its storage";
  return "";
}

// ---- memory and numbers

std::string check_allocator() {
  auto& ours = StepAllocator::instance();
  const c10::Allocator* before = c10::GetAllocator(c10::kCPU);
  ours.acquire();
  std::string problem;
  if (c10::GetAllocator(c10::kCPU) != &ours) {
    problem = "an allocator of higher priority keeps ours out";
  } else {
    const StepAllocator::Unobserved count;
    at::Tensor x = at::empty({5, 3}, at::kFloat);
    if (count.live_bytes() != 60) problem = "a tensor's bytes are not asked of the allocator";
    x.reset();
    if (count.live_bytes() != 0) problem = "a tensor's bytes do not come back when it dies";
  }
  ours.release();
  const bool is_back = c10::GetAllocator(c10::kCPU) == before;
  return problem.empty() && !is_back ? "the allocator that was found does not come back" : problem;
}

std::string check_batch_norm() {
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("aten::native_batch_norm", "");
  const auto& args = op.schema().arguments();
  if (args.size() != 8 || args[3].name() != "running_mean" || args[4].name() != "running_var" ||
      args[5].name() != "training") {
    return "native_batch_norm takes other arguments";
  }
  const at::Tensor x = numbers({4, 3, 5});
  const at::Tensor scale = numbers({3});
  const at::Tensor mean = at::zeros({3});
  const at::Tensor variance = at::ones({3});
  const auto first = at::native_batch_norm(x, scale, scale, mean, variance, true, 0.1, 1e-5);
  const auto again = at::native_batch_norm(x, scale, scale, {}, {}, true, 0.1, 1e-5);
  const bool is_equal = at::equal(std::get<0>(first), std::get<0>(again)) &&
                        at::equal(std::get<1>(first), std::get<1>(again)) &&
                        at::equal(std::get<2>(first), std::get<2>(again));
  return is_equal ? "" : "a batch norm without running statistics gives other bits";
}

std::string check_generators() {
  at::Generator generator = at::detail::createCPUGenerator(7);
  auto& impl = *at::check_generator<at::CPUGeneratorImpl>(generator);
  at::empty({3}, at::kFloat).normal_(0, 1, generator);
  const GeneratorState state = state_of(impl);
  const at::Tensor first = at::empty({5}, at::kFloat).normal_(0, 1, generator);
  set_state(impl, state);
  const at::Tensor again = at::empty({5}, at::kFloat).normal_(0, 1, generator);
  return at::equal(first, again) ? "" : "a generator put back to a state draws other numbers";
}

// ----

struct Check {
  const char* name;
  std::string (*run)();
};

constexpr Check kChecks[] = {
    {"dispatch key", &tap_obstacle},
    {"ops below autograd", &check_ops_below_autograd},
    {"ops below autocast", &check_ops_below_autocast},
    {"saved tensors", &check_saved_tensors},
    {"version counters", &check_version_counters},
    {"references", &check_references},
    {"allocator", &check_allocator},
    {"batch norm", &check_batch_norm},
    {"generators", &check_generators},
};

// MKL chooses its vector functions (exp, sqrt, ...) when the first of them is called; threads that
// make this call together may get imprecise ones, once: an op that runs again would give other
// bits. So one thread makes it here, before any step.
void choose_vector_functions() { at::exp(at::ones({1})); }

std::vector<Assumption> check_all() {
  std::vector<Assumption> result;
  for (const Check& check : kChecks) {
    std::string problem;
    try {
      problem = check.run();
    } catch (const std::exception& error) {
      problem = error.what();
    }
    result.push_back({check.name, std::move(problem)});
    if (!result.front().problem.empty()) break;  // the others need the tap
  }
  return result;
}

}  // namespace

const std::vector<Assumption>& self_check() {
  static const std::vector<Assumption> result = [] {
    std::vector<Assumption> found;
    std::thread([&] {
      choose_vector_functions();
      found = check_all();
    }).join();
    return found;
  }();
  return result;
}

std::string self_check_obstacle() {
  for (const auto& [name, problem] : self_check()) {
    if (problem.empty()) continue;
    std::string text = "torch " TORCH_VERSION " does not do here what Tidemark rests on (";
    text.append(name).append("): ").append(problem);
    return text.append("; planning still works, `tidemark doctor` shows the whole list");
  }
  return "";
}

}  // namespace tidemark
