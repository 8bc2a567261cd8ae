#include "tidemark/trace/fake_runner.h"

#include <ATen/Functions.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <memory_resource>
#include <string>
#include <unordered_map>

#include "tidemark/base/error.h"
#include "tidemark/runtime/geometry.h"
#include "tidemark/runtime/step_allocator.h"
#include "tidemark/runtime/tape.h"
#include "tidemark/trace/op_facts.h"

namespace tidemark {
namespace {

using torch::jit::Stack;

constexpr const char* kNoData =
    "tidemark: this tensor was made while a step was estimated; it has sizes but no data";

c10::StorageImpl* storage_of(const at::Tensor& tensor) {
  return tensor.unsafeGetTensorImpl()->unsafe_storage().unsafeGetStorageImpl();
}

c10::Storage make_dataless_storage(std::size_t bytes) {
  auto& allocator = StepAllocator::instance();
  auto storage = c10::make_intrusive<c10::StorageImpl>(
      c10::StorageImpl::use_byte_size_t(), static_cast<std::int64_t>(bytes),
      allocator.allocate_dataless(bytes), &allocator, /*resizable=*/true);
  storage->release_data_and_set_meta_custom_data_ptr_error_msg_(kNoData);
  return c10::Storage(std::move(storage));
}

// A tensor as `described` on `storage`, which is made if there is none yet.
at::Tensor place_on(c10::Storage& storage, const at::Tensor& described) {
  if (!storage) storage = make_dataless_storage(storage_of(described)->nbytes());
  std::pmr::monotonic_buffer_resource memory;
  return make_view(storage, GeometryTable(memory).of(described));
}

// Returns `value` with every tensor in it replaced by change(tensor).
template <typename Change>
c10::IValue with_tensors(const c10::IValue& value, const Change& change) {
  if (value.isTensor()) return value.toTensor().defined() ? change(value.toTensor()) : value;
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(change(tensor));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    for (const auto& tensor : value.toOptionalTensorVector()) {
      list.push_back(tensor && tensor->defined() ? std::optional(change(*tensor)) : tensor);
    }
    return list;
  }
  return value;
}

at::Tensor stand_in(const at::Tensor& tensor, c10::Device device) {
  const auto options = tensor.options().device(device).requires_grad(false);
  at::Tensor result = at::empty_strided(tensor.sizes(), tensor.strides(), options);
  if (!device.is_meta()) result.zero_();
  if (tensor.unsafeGetTensorImpl()->is_wrapped_number()) {
    result.unsafeGetTensorImpl()->set_wrapped_number(true);
  }
  return result;
}

// The op on tensors like its arguments, on `device`.
void run_on(c10::Device device, const c10::OperatorHandle& op, const std::vector<c10::IValue>& args,
            Stack* stack) {
  stack->clear();
  for (std::size_t i = 0; i < args.size(); ++i) {
    const auto& type = op.schema().arguments()[i].type()->str();
    if (type.find("Device") != std::string::npos) {
      stack->emplace_back(device);
    } else {
      stack->push_back(with_tensors(
          args[i], [&](const at::Tensor& tensor) { return stand_in(tensor, device); }));
    }
  }
  op.callBoxed(stack);
}

// Views whose schemas do not say so; index vectors, whose numbers samplers read; is_pinned and the
// like. (One that reads data throws.)
bool is_run(const c10::FunctionSchema& schema) {
  for (const char* name :
       {"aten::unsafe_split", "aten::unsafe_split_with_sizes", "aten::arange", "aten::randperm"}) {
    if (schema.name() == name) return true;
  }
  const auto& returns = schema.returns();
  return !returns.empty() && std::none_of(returns.begin(), returns.end(), [](const auto& result) {
    return result.type()->str().find("Tensor") != std::string::npos;
  });
}

bool is_written(const c10::Argument& argument) {
  return argument.alias_info() != nullptr && argument.alias_info()->isWrite();
}

// The argument that a return of an in-place or out= op is.
const c10::IValue& returned_argument(const c10::FunctionSchema& schema, const c10::Argument& result,
                                     at::ArrayRef<c10::IValue> args) {
  for (std::size_t i = 0; i < args.size(); ++i) {
    const auto* alias = schema.arguments()[i].alias_info();
    if (alias != nullptr && alias->beforeSets() == result.alias_info()->beforeSets())
      return args[i];
  }
  throw NotSupported("tidemark: cannot estimate " + schema.name() +
                     ": it returns a written tensor that is none of its arguments");
}

}  // namespace

bool is_dataless(const at::Tensor& tensor) {
  if (!tensor.has_storage()) return false;
  const auto& pointer = storage_of(tensor)->_mutable_data_ptr_no_checks();
  return pointer.get() == nullptr && storage_of(tensor)->nbytes() > 0;
}

std::vector<at::Tensor> make_dataless(const std::vector<at::Tensor>& described) {
  StepAllocator::Unobserved older_than_any_step;
  std::unordered_map<const c10::StorageImpl*, c10::Storage> storages;
  std::vector<at::Tensor> result;
  result.reserve(described.size());
  for (const at::Tensor& tensor : described) {
    result.push_back(place_on(storages[storage_of(tensor)], tensor));
  }
  return result;
}

void describe_by_meta_kernels(const c10::OperatorHandle& op, Stack* stack) {
  at::AutoDispatchBelowADInplaceOrView below;
  const auto args = torch::jit::pop(*stack, op.schema().arguments().size());
  try {
    run_on(c10::kMeta, op, args, stack);
  } catch (const c10::NotImplementedError&) {
    const OpFacts& facts = facts_of(op);
    if (facts.pinned.rfind("data-dependent", 0) == 0) {
      throw NotSupported("tidemark: cannot estimate a step with " + facts.name + ": it has a " +
                         facts.pinned + "; record the real step instead");
    }
    run_on(c10::kCPU, op, args, stack);
  }
}

void FakeRunner::run(const c10::OperatorHandle& op, c10::DispatchKeySet keys, Stack* stack) {
  const OpFacts& facts = facts_of(op);
  if (facts.is_view) return run_op_below(op, keys, stack);
  const auto& schema = op.schema();
  if (schema.name() == "aten::_local_scalar_dense") {
    const at::Tensor tensor = torch::jit::pop(*stack).toTensor();
    stack->push_back(number_in(tensor));
    estimates_.push_back({static_cast<Nanoseconds>(device_.overhead_ns), 0});
    return;
  }
  if (is_run(schema)) {
    run_op_below(op, keys, stack);
    estimates_.push_back({static_cast<Nanoseconds>(device_.overhead_ns), 0});
    return;
  }
  answer(op, stack);
}

void FakeRunner::answer(const c10::OperatorHandle& op, Stack* stack) {
  const auto& schema = op.schema();
  const auto args = torch::jit::pop(*stack, schema.arguments().size());
  note_writes(op, args);
  bool needs_oracle = false;
  for (const auto& result : schema.returns()) needs_oracle |= !is_written(result);
  const auto described = needs_oracle ? describe(op, args) : std::vector<c10::IValue>();
  std::unordered_map<const c10::StorageImpl*, c10::Storage> storages;
  for (const auto& arg : args) {
    visit_tensors(arg, [&](int, const at::Tensor& tensor) {
      if (tensor.has_storage()) storages.emplace(storage_of(tensor), tensor.storage());
    });
  }
  auto materialise = [&](const at::Tensor& tensor) {
    return place_on(storages[storage_of(tensor)], tensor);
  };
  for (std::size_t i = 0; i < schema.returns().size(); ++i) {
    const auto& result = schema.returns()[i];
    stack->push_back(is_written(result) ? returned_argument(schema, result, args)
                                        : with_tensors(described[i], materialise));
  }
  const auto results = torch::jit::last(*stack, schema.returns().size());
  estimates_.push_back({op_cost(op, args, results, device_), memory_.workspace(op, args)});
}

std::vector<c10::IValue> FakeRunner::describe(const c10::OperatorHandle& op,
                                              at::ArrayRef<c10::IValue> args) {
  StepAllocator::Unobserved oracle_is_not_the_program;
  Stack stack = args.vec();
  oracle_(op, &stack);
  memory_.complete(op, args, stack);
  return stack;
}

void FakeRunner::note_writes(const c10::OperatorHandle& op, at::ArrayRef<c10::IValue> args) {
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (!is_written(op.schema().arguments()[i])) continue;
    visit_tensors(args[i], [&](int, const at::Tensor& tensor) {
      if (is_dataless(tensor) || !tensor.has_storage()) return;
      outdated_.try_emplace(storage_of(tensor), tensor.storage().getWeakStorageImpl());
    });
  }
}

c10::IValue FakeRunner::number_in(const at::Tensor& tensor) const {
  if (!is_dataless(tensor) && outdated_.count(storage_of(tensor)) == 0) return tensor.item();
  if (tensor.scalar_type() == at::kBool) return c10::Scalar(false);
  return at::isIntegralType(tensor.scalar_type(), false) ? c10::Scalar(1) : c10::Scalar(1.0);
}

}  // namespace tidemark
