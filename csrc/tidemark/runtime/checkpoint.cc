#include "tidemark/runtime/checkpoint.h"

#include <ATen/SavedTensorHooks.h>
#include <c10/util/SmallVector.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <mutex>
#include <sstream>
#include <typeinfo>
#include <utility>

#include "tidemark/runtime/checkpoint_context.h"
#include "tidemark/runtime/saved_version.h"

namespace tidemark::internal {
namespace {

using torch::autograd::SavedVariable;
using torch::autograd::SavedVariableHooks;

const std::type_info* kind_of(const torch::autograd::Node* maker) {
  return maker != nullptr ? &typeid(*maker) : nullptr;
}

// What must be the same about a saved tensor when the function runs again.
struct SavedForm {
  explicit SavedForm(const at::Tensor& tensor)
      : dtype(tensor.scalar_type()),
        device(tensor.device()),
        maker(kind_of(tensor.grad_fn().get())) {
    const auto* impl = tensor.unsafeGetTensorImpl();
    if (impl->has_symbolic_sizes_strides() || tensor.is_nested()) return;  // have none to compare
    sizes.assign(tensor.sizes().begin(), tensor.sizes().end());
  }
  bool operator==(const SavedForm& other) const {
    return sizes == other.sizes && dtype == other.dtype && device == other.device;
  }
  std::string text() const {
    std::ostringstream text;
    text << dtype << at::IntArrayRef(sizes) << " on " << device;
    if (maker != nullptr) {
      const std::string name = c10::demangle(maker->name());
      text << " from " << name.substr(name.rfind(':') + 1);  // without the namespace
    }
    return text.str();
  }

  c10::SmallVector<std::int64_t, 4> sizes;
  at::ScalarType dtype;
  at::Device device;
  const std::type_info* maker;  // the node it came from, only for errors
};

// Thrown into the function when nothing more is needed of it.
struct EnoughRecomputed : std::exception {
  const char* what() const noexcept override {
    return "tidemark::checkpoint: backward has what it needs";
  }
};

// What backward needs: it would be a cycle to keep the graph of a tensor that its node saves.
at::Tensor without_graph(const at::Tensor& tensor) {
  return tensor.requires_grad() ? tensor.detach() : tensor;
}

// One further run of a function: collects the wanted ones of the tensors that it saves.
class FurtherRun final : public SavedTensorFactory {
 public:
  FurtherRun(const std::vector<SavedForm>& expected, std::vector<bool> wanted)
      : expected_(expected), wanted_(std::move(wanted)), found_(wanted_.size()) {
    while (!wanted_.empty() && !wanted_.back()) wanted_.pop_back();
  }

  std::unique_ptr<SavedVariableHooks> make_hooks() override;

  // Runs the function until the last wanted tensor is there, or it differs.
  void run(const CheckpointedCall& call, std::vector<at::Tensor> tensors) {
    SavedTensorScope hooks(*this);
    try {
      call.run(std::move(tensors));
    } catch (...) {
      if (!is_stopped_) throw;
    }
    if (is_stopped_) return;
    difference_ = "the forward saved " + std::to_string(expected_.size()) +
                  " tensors and this run only " + std::to_string(num_saved_);
  }

  void collect(const at::Tensor& tensor) {
    if (is_stopped_) throw EnoughRecomputed();  // the function went on all the same
    const std::size_t number = num_saved_++;
    const SavedForm form(tensor);
    if (!(form == expected_[number])) {
      difference_ = "saved tensor " + std::to_string(number) + " of " +
                    std::to_string(expected_.size()) + " was " + expected_[number].text() +
                    " and is now " + form.text();
    } else if (wanted_[number]) {
      found_[number] = without_graph(tensor);
    }
    is_stopped_ = !difference_.empty() || num_saved_ == wanted_.size();
    if (is_stopped_) throw EnoughRecomputed();
  }

  const std::string& difference() const { return difference_; }
  std::vector<at::Tensor>& found() { return found_; }

 private:
  const std::vector<SavedForm>& expected_;
  std::vector<bool> wanted_;  // by number, up to the last wanted one
  std::vector<at::Tensor> found_;
  std::size_t num_saved_ = 0;
  bool is_stopped_ = false;
  std::string difference_;
};

// What the graph of a further run saves: the function may call backward inside.
class FurtherHandle final : public SavedVariableHooks {
 public:
  explicit FurtherHandle(FurtherRun& run) : run_(run) {}
  void call_pack_hook(const at::Tensor& tensor) override {
    run_.collect(tensor);
    tensor_ = without_graph(tensor);
  }
  at::Tensor call_unpack_hook() override { return tensor_; }

 private:
  FurtherRun& run_;  // alive while its function runs, which is when tensors are packed
  at::Tensor tensor_;
};

std::unique_ptr<SavedVariableHooks> FurtherRun::make_hooks() {
  return std::make_unique<FurtherHandle>(*this);
}

}  // namespace

// One checkpointed call, alive while a graph needs something from inside it.
class CheckpointRegion final : public SavedTensorFactory,
                               public std::enable_shared_from_this<CheckpointRegion> {
 public:
  explicit CheckpointRegion(CheckpointedCall call)
      : call_(std::move(call)), context_(call_.tensors, call_.generators) {
    for (at::Tensor& tensor : call_.tensors) inputs_.emplace_back(tensor, /*is_output=*/false);
    call_.tensors.clear();
    call_.generators.clear();
  }

  std::unique_ptr<SavedVariableHooks> make_hooks() override;

  // Enters a tensor that the function saved; returns its number.
  std::size_t add(const at::Tensor& tensor) {
    std::lock_guard lock(mutex_);
    forms_.emplace_back(tensor);
    slots_.emplace_back();
    return slots_.size() - 1;
  }

  void forget(std::size_t number) noexcept {
    at::Tensor restored;  // given back without the lock held
    std::lock_guard lock(mutex_);
    slots_[number].is_alive = false;
    restored = std::move(slots_[number].restored);
  }

  at::Tensor serve(std::size_t number) {
    {
      std::lock_guard lock(mutex_);
      if (slots_[number].restored.defined()) return std::move(slots_[number].restored);
    }
    FurtherRun again(forms_, wanted(number));
    run(again);
    at::Tensor result = std::move(again.found()[number]);
    std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < again.found().size(); ++i) {
      if (slots_[i].is_alive && i != number) slots_[i].restored = std::move(again.found()[i]);
    }
    return result;
  }

 private:
  struct Slot {
    bool is_alive = true;  // a graph can still ask for it
    at::Tensor restored;   // for the next unpack
  };

  // In backward the others will follow; anybody else looks at one.
  std::vector<bool> wanted(std::size_t number) const {
    const bool is_in_backward = torch::autograd::get_current_graph_task_id() != -1;
    std::lock_guard lock(mutex_);
    std::vector<bool> wanted(slots_.size());
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      wanted[i] = i == number || (is_in_backward && slots_[i].is_alive);
    }
    return wanted;
  }

  void run(FurtherRun& again) const {
    std::vector<at::Tensor> tensors;
    tensors.reserve(inputs_.size());
    for (const auto& input : inputs_) tensors.push_back(input.unpack());
    {
      CheckpointContext::Scope context(context_);
      again.run(call_, std::move(tensors));
    }
    if (again.difference().empty()) return;
    const auto node = torch::autograd::get_current_node();
    call_.throw_mismatch(
        "tidemark::checkpoint: " + call_.name + " did something else when it ran again" +
        (node ? " for " + node->name() : "") + ": " + again.difference() +
        ". A function that is checkpointed must do the same both times: look for branches on "
        "random or changed values, caches, and state that the first run left behind.");
  }

  CheckpointedCall call_;
  CheckpointContext context_;
  std::vector<SavedVariable> inputs_;
  mutable std::mutex mutex_;
  std::vector<SavedForm> forms_;  // by number
  std::vector<Slot> slots_;
};

namespace {

// What autograd holds instead of a tensor that a checkpointed function saved.
class CheckpointHandle final : public SavedVariableHooks {
 public:
  explicit CheckpointHandle(std::shared_ptr<CheckpointRegion> region)
      : region_(std::move(region)) {}
  ~CheckpointHandle() override {
    if (is_packed_) region_->forget(number_);
  }
  void call_pack_hook(const at::Tensor& tensor) override {
    version_ = SavedVersion(tensor);
    version_.follow(tensor);
    number_ = region_->add(tensor);
    is_packed_ = true;
  }
  at::Tensor call_unpack_hook() override {
    version_.check(at::Tensor());
    return region_->serve(number_);
  }

 private:
  std::shared_ptr<CheckpointRegion> region_;
  std::size_t number_ = 0;
  bool is_packed_ = false;
  SavedVersion version_;
};

std::shared_ptr<CheckpointRegion> enter_region(CheckpointedCall call) {
  install_engine_proxy();
  const auto& disabled = at::SavedTensorDefaultHooks::get_disabled_error_message();
  TORCH_CHECK(!disabled, "tidemark::checkpoint needs saved-tensor hooks: ", disabled.value_or(""));
  return std::make_shared<CheckpointRegion>(std::move(call));
}

}  // namespace

std::unique_ptr<SavedVariableHooks> CheckpointRegion::make_hooks() {
  return std::make_unique<CheckpointHandle>(shared_from_this());
}

CheckpointScope::CheckpointScope(CheckpointedCall call)
    : region_(enter_region(std::move(call))), hooks_(*region_) {}

CheckpointScope::~CheckpointScope() = default;

}  // namespace tidemark::internal
