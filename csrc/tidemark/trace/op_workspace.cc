#include "tidemark/trace/op_workspace.h"

#include <ATen/Functions.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "tidemark/runtime/step_allocator.h"
#include "tidemark/runtime/tape.h"
#include "tidemark/trace/op_facts.h"

namespace tidemark {
namespace {

// Single items, and inputs below 20480 numbers, select other kernels of torch.
constexpr std::int64_t kLeastItems = 2;
constexpr std::int64_t kLeastNumel = 32768;

// How many leading tensor arguments of the op have the batch as their first dimension; 0: not here.
std::size_t num_batched(const std::string& name) {
  static const std::unordered_map<std::string, std::size_t> table = {
      {"aten::convolution", 1},
      {"aten::convolution_backward", 2},
      {"aten::native_batch_norm", 1},
      {"aten::native_batch_norm_backward", 2},
      {"aten::_safe_softmax", 1},
      {"aten::_scaled_dot_product_flash_attention_for_cpu", 3},
      {"aten::_scaled_dot_product_flash_attention_for_cpu_backward", 6},
  };
  auto it = table.find(name);
  return it == table.end() ? 0 : it->second;
}

std::vector<std::int64_t> with_batch(at::IntArrayRef sizes, std::size_t position,
                                     std::size_t batched, std::int64_t batch) {
  auto result = sizes.vec();
  if (position < batched && !result.empty()) result[0] = batch;
  return result;
}

std::vector<c10::IValue> zeros_like(at::ArrayRef<c10::IValue> args, std::size_t batched,
                                    std::int64_t batch) {
  std::vector<c10::IValue> result;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (!args[i].isTensor() || !args[i].toTensor().defined()) {
      result.push_back(args[i]);
      continue;
    }
    const at::Tensor& tensor = args[i].toTensor();
    const auto options = tensor.options().requires_grad(false);
    result.emplace_back(
        at::empty_strided(with_batch(tensor.sizes(), i, batched, batch), tensor.strides(), options)
            .zero_());
  }
  return result;
}

// The least batch whose kernels are those of larger ones.
std::int64_t small_batch(at::ArrayRef<c10::IValue> args, std::size_t batched) {
  std::int64_t result = kLeastItems;
  for (std::size_t i = 0; i < batched; ++i) {
    const at::Tensor& tensor = args[i].toTensor();
    const std::int64_t per_item =
        std::max<std::int64_t>(1, tensor.numel() / std::max<std::int64_t>(1, tensor.size(0)));
    result = std::max(result, (kLeastNumel + per_item - 1) / per_item);
  }
  return result;
}

double measure(const c10::OperatorHandle& op, at::ArrayRef<c10::IValue> args, std::size_t batched,
               std::int64_t batch) {
  at::AutoDispatchBelowADInplaceOrView below;
  torch::jit::Stack stack;
  // Twice: kernels are made and cached at the first call.
  for (int i = 0; i < 2; ++i) {
    StepAllocator::Unobserved inputs_do_not_count;
    stack = zeros_like(args, batched, batch);
    const std::vector<c10::IValue> inputs(stack.begin(), stack.end());
    StepAllocator::Unobserved op_alone;
    op.callBoxed(&stack);
    if (i == 1) {
      return static_cast<double>(op_alone.peak_bytes() - std::max<Bytes>(0, op_alone.live_bytes()));
    }
  }
  return 0;
}

// What the line depends on: everything but the batch.
std::string form_of(const std::string& name, at::ArrayRef<c10::IValue> args, std::size_t batched) {
  std::ostringstream text;
  text << name;
  for (std::size_t i = 0; i < args.size(); ++i) {
    text << '|';
    if (args[i].isTensor()) {
      const at::Tensor& tensor = args[i].toTensor();
      if (!tensor.defined()) continue;
      text << tensor.scalar_type() << at::IntArrayRef(with_batch(tensor.sizes(), i, batched, 0))
           << tensor.strides();
    } else {
      text << args[i];
    }
  }
  return text.str();
}

}  // namespace

Bytes WorkspaceTable::find(const c10::OperatorHandle& op, at::ArrayRef<c10::IValue> args) {
  const std::string& name = facts_of(op).name;
  const std::size_t batched = num_batched(name);
  if (batched == 0 || args[0].toTensor().dim() == 0) return 0;
  const std::int64_t batch = args[0].toTensor().size(0);
  const std::int64_t small = small_batch(args, batched);
  const bool is_small = batch <= 2 * small;
  const auto [it, is_new] = lines_.try_emplace(form_of(name, args, is_small ? 0 : batched));
  Line& line = it->second;
  if (is_new && is_small) {
    line.fixed = measure(op, args, batched, batch);
  } else if (is_new) {
    const double at_small = measure(op, args, batched, small);
    line.per_item = (measure(op, args, batched, 2 * small) - at_small) / static_cast<double>(small);
    line.fixed = at_small - line.per_item * static_cast<double>(small);
  }
  return std::llround(std::max(0.0, line.fixed + line.per_item * static_cast<double>(batch)));
}

}  // namespace tidemark
