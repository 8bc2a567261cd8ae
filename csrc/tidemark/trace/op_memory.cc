#include "tidemark/trace/op_memory.h"

#include <ATen/Functions.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

#include "tidemark/runtime/step_allocator.h"
#include "tidemark/runtime/tape.h"
#include "tidemark/trace/op_facts.h"

namespace tidemark {
namespace {

// Single items, and inputs below 20480 numbers, select other kernels of torch.
constexpr std::int64_t kLeastItems = 2;
constexpr std::int64_t kLeastNumel = 32768;

constexpr std::string_view kLstm = "aten::mkldnn_rnn_layer";

// Arguments of an op whose first dimension is the batch; empty: the op is not in the table.
using Positions = std::vector<std::size_t>;

const Positions& batched_arguments(const std::string& name) {
  static const std::unordered_map<std::string, Positions> table = {
      {"aten::convolution", {0}},
      {"aten::convolution_backward", {0, 1}},
      {"aten::native_batch_norm", {0}},
      {"aten::native_batch_norm_backward", {0, 1}},
      {"aten::embedding_dense_backward", {0, 1}},
      {"aten::_safe_softmax", {0}},
      {"aten::_scaled_dot_product_flash_attention_for_cpu", {0, 1, 2}},
      {"aten::_scaled_dot_product_flash_attention_for_cpu_backward", {0, 1, 2, 3, 4, 5}},
      {"aten::mkldnn_rnn_layer", {0}},
      {"aten::mkldnn_rnn_layer_backward", {0, 7, 10}},
  };
  static const Positions none;
  auto it = table.find(name);
  return it == table.end() ? none : it->second;
}

bool is_tensor(const c10::IValue& value) { return value.isTensor() && value.toTensor().defined(); }

std::vector<std::int64_t> with_batch(const at::Tensor& tensor, std::size_t position,
                                     const Positions& batched, std::int64_t batch) {
  auto sizes = tensor.sizes().vec();
  const bool is_batched = std::find(batched.begin(), batched.end(), position) != batched.end();
  if (is_batched && !sizes.empty()) sizes[0] = batch;
  return sizes;
}

std::vector<c10::IValue> zeros_like(at::ArrayRef<c10::IValue> args, const Positions& batched,
                                    std::int64_t batch) {
  std::vector<c10::IValue> result = args.vec();
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (!is_tensor(args[i])) continue;
    const at::Tensor& tensor = args[i].toTensor();
    const auto options = tensor.options().requires_grad(false);
    result[i] =
        at::empty_strided(with_batch(tensor, i, batched, batch), tensor.strides(), options).zero_();
  }
  return result;
}

// The least batch whose kernels are those of larger ones.
std::int64_t small_batch(at::ArrayRef<c10::IValue> args, const Positions& batched) {
  std::int64_t result = kLeastItems;
  for (std::size_t position : batched) {
    if (!is_tensor(args[position])) continue;
    const at::Tensor& tensor = args[position].toTensor();
    const std::int64_t items = std::max<std::int64_t>(1, tensor.size(0));
    const std::int64_t per_item = std::max<std::int64_t>(1, tensor.numel() / items);
    result = std::max(result, (kLeastNumel + per_item - 1) / per_item);
  }
  return result;
}

// Workspace in bytes, and the numbers in the last result; nothing if such zeros do not suit the op.
std::pair<double, double> measure(const c10::OperatorHandle& op, at::ArrayRef<c10::IValue> args,
                                  const Positions& batched, std::int64_t batch) {
  at::AutoDispatchBelowADInplaceOrView below;
  StepAllocator::Unobserved inputs_do_not_count;
  const std::vector<c10::IValue> inputs = zeros_like(args, batched, batch);
  try {
    torch::jit::Stack warm_up = inputs;  // kernels are made and cached at the first call
    op.callBoxed(&warm_up);
    torch::jit::Stack stack = inputs;
    StepAllocator::Unobserved op_alone;
    op.callBoxed(&stack);
    const Bytes workspace = op_alone.peak_bytes() - std::max<Bytes>(0, op_alone.live_bytes());
    const std::int64_t numel = is_tensor(stack.back()) ? stack.back().toTensor().numel() : 0;
    return {static_cast<double>(workspace), static_cast<double>(numel)};
  } catch (const c10::Error&) {
    return {0, 0};
  }
}

// What the lines depend on: everything but the batch.
std::string form_of(const std::string& name, at::ArrayRef<c10::IValue> args,
                    const Positions& batched) {
  std::ostringstream text;
  text << name;
  for (std::size_t i = 0; i < args.size(); ++i) {
    text << '|';
    if (is_tensor(args[i])) {
      const at::Tensor& tensor = args[i].toTensor();
      text << tensor.scalar_type() << at::IntArrayRef(with_batch(tensor, i, batched, 0))
           << tensor.strides();
    } else if (!args[i].isTensor()) {
      text << args[i];
    }
  }
  return text.str();
}

}  // namespace

OpMemoryTable::Sizes OpMemoryTable::find(const c10::OperatorHandle& op,
                                         at::ArrayRef<c10::IValue> args) {
  const std::string& name = facts_of(op).name;
  const Positions& batched = batched_arguments(name);
  if (batched.empty() || args[0].toTensor().dim() == 0) return {};
  const std::int64_t batch = args[0].toTensor().size(0);
  const std::int64_t small = small_batch(args, batched);
  const bool is_small = batch <= 2 * small;
  const auto [it, is_new] =
      lines_.try_emplace(form_of(name, args, is_small ? Positions() : batched));
  auto& [workspace, numel] = it->second;
  if (is_new && is_small) {
    std::tie(workspace.fixed, numel.fixed) = measure(op, args, batched, batch);
  } else if (is_new) {
    const auto one = measure(op, args, batched, small);
    const auto two = measure(op, args, batched, 2 * small);
    auto through = [&](double at_small, double at_double) {
      const double rise = at_double - at_small;
      return Line{at_small - rise, rise / static_cast<double>(small)};
    };
    workspace = through(one.first, two.first);
    numel = through(one.second, two.second);
  }
  auto at_batch = [&](const Line& line) {
    return std::llround(std::max(0.0, line.fixed + line.per_item * static_cast<double>(batch)));
  };
  return {at_batch(workspace), at_batch(numel)};
}

Bytes OpMemoryTable::workspace(const c10::OperatorHandle& op, at::ArrayRef<c10::IValue> args) {
  return find(op, args).workspace;
}

void OpMemoryTable::complete(const c10::OperatorHandle& op, at::ArrayRef<c10::IValue> args,
                             std::vector<c10::IValue>& described) {
  if (facts_of(op).name != kLstm) return;
  const auto options = described.back().toTensor().options().device(at::kMeta);
  described.back() = at::empty({find(op, args).last_numel}, options);
}

}  // namespace tidemark
