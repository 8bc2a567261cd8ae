#include "tidemark/trace/op_facts.h"

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "tidemark/base/export.h"
#include "tidemark/graph/hash.h"

namespace tidemark {
namespace {

bool starts_with_any(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  for (auto prefix : prefixes) {
    if (name.substr(0, prefix.size()) == prefix) return true;
  }
  return false;
}

bool is_any(std::string_view name, std::initializer_list<std::string_view> names) {
  for (auto candidate : names) {
    if (name == candidate) return true;
  }
  return false;
}

bool is_foreign(const c10::OperatorHandle& op) {
  return !starts_with_any(op.schema().name(), {"aten::", "prims::"});
}

// Integer results of these steer what runs next, or their shapes depend on data.
std::string pin_reason(const c10::OperatorHandle& op) {
  const std::string& name = op.schema().name();
  if (is_foreign(op)) return "unknown namespace";
  if (op.hasTag(at::Tag::dynamic_output_shape)) return "data-dependent output shape";
  if (op.hasTag(at::Tag::data_dependent_output)) return "data-dependent output";
  if (is_any(name, {"aten::sort", "aten::topk", "aten::argmax", "aten::argmin", "aten::argsort",
                    "aten::multinomial", "aten::nonzero", "aten::kthvalue", "aten::mode",
                    "aten::median", "aten::searchsorted", "aten::bucketize", "aten::unique_dim"})) {
    return "integer results that steer others";
  }
  if (is_any(name, {"aten::_native_batch_norm_legit", "aten::_batch_norm_with_update"})) {
    return "writes running statistics that cannot be left out";
  }
  if (is_any(name, {"aten::set_", "aten::resize_", "aten::resize_as_"})) return "changes a storage";
  return "";
}

// A place of the result depends on the same place of the arguments alone, and the kernel is one.
bool is_elementwise(const std::string& name) {
  return is_any(name,
                {"aten::abs",         "aten::add",        "aten::addcdiv",     "aten::addcmul",
                 "aten::clamp",       "aten::clamp_max",  "aten::clamp_min",   "aten::cos",
                 "aten::div",         "aten::elu",        "aten::erf",         "aten::exp",
                 "aten::expm1",       "aten::gelu",       "aten::hardsigmoid", "aten::hardswish",
                 "aten::hardtanh",    "aten::leaky_relu", "aten::log",         "aten::log1p",
                 "aten::masked_fill", "aten::mish",       "aten::mul",         "aten::neg",
                 "aten::reciprocal",  "aten::relu",       "aten::rsqrt",       "aten::sigmoid",
                 "aten::silu",        "aten::sin",        "aten::sqrt",        "aten::sub",
                 "aten::tanh",        "aten::threshold"});
}

std::optional<c10::OperatorHandle> in_place_of(const c10::OperatorHandle& op) {
  const auto& schema = op.schema();
  if (!is_elementwise(schema.name())) return std::nullopt;
  auto found =
      c10::Dispatcher::singleton().findSchema({schema.name() + "_", schema.overload_name()});
  if (!found || found->schema().arguments().size() != schema.arguments().size())
    return std::nullopt;
  return found;
}

std::unique_ptr<OpFacts> read_facts(const c10::OperatorHandle& op) {
  auto facts = std::make_unique<OpFacts>(op);
  const auto& schema = op.schema();
  facts->name = schema.name();
  if (!schema.overload_name().empty()) facts->name += "." + schema.overload_name();
  facts->name_hash = hash_bytes(facts->name);
  facts->num_args = schema.arguments().size();
  facts->num_returns = schema.returns().size();
  facts->repoints = schema.name() == "aten::set_";
  for (std::size_t i = 0; i < facts->num_args; ++i) {
    const auto& argument = schema.arguments()[i];
    const bool writes =
        argument.alias_info() != nullptr && argument.alias_info()->isWrite() && !facts->repoints;
    facts->writes.push_back(writes);
    facts->writes_any |= writes;
    if (argument.type()->str().find("Generator") != std::string::npos) {
      facts->generator_arg = static_cast<int>(i);
    }
  }
  facts->is_view = is_pure_view(schema);
  facts->draws_random = op.hasTag(at::Tag::nondeterministic_seeded);
  facts->makes_uninitialised =
      starts_with_any(schema.name(), {"aten::empty", "aten::new_empty", "aten::_empty"});
  facts->is_batch_norm = is_any(schema.name(), {"aten::native_batch_norm", "aten::cudnn_batch_norm",
                                                "aten::miopen_batch_norm"});
  facts->is_foreign = is_foreign(op);
  facts->may_write_unannounced =
      facts->is_foreign && !facts->writes_any && !op.hasTag(at::Tag::pt2_compliant_tag);
  facts->pinned = pin_reason(op);
  facts->in_place = in_place_of(op);
  return facts;
}

using FactsSlot = std::atomic<const OpFacts*>;

TIDEMARK_RARE const OpFacts& look_up_facts(const c10::OperatorHandle& op, FactsSlot& slot) {
  static std::mutex mutex;
  static auto* all = new std::unordered_map<const void*, std::unique_ptr<OpFacts>>;
  std::lock_guard lock(mutex);
  auto& facts = (*all)[&op.schema()];
  if (facts == nullptr) facts = read_facts(op);
  slot.store(facts.get(), std::memory_order_release);
  return *facts;
}

}  // namespace

bool is_pure_view(const c10::FunctionSchema& schema) {
  if (is_any(schema.name(), {"aten::_unsafe_view", "aten::detach", "aten::_reshape_alias"})) {
    return true;
  }
  if (schema.returns().empty()) return false;
  for (const auto& argument : schema.arguments()) {
    if (argument.alias_info() != nullptr && argument.alias_info()->isWrite()) return false;
  }
  for (const auto& result : schema.returns()) {
    if (result.alias_info() == nullptr || result.alias_info()->isWrite()) return false;
  }
  return true;
}

const OpFacts& facts_of(const c10::OperatorHandle& op) {
  // Direct-mapped: a step asks for the same few dozen ops over and over.
  static std::array<FactsSlot, 1024> recent;
  const auto address = reinterpret_cast<std::uintptr_t>(&op.schema());
  FactsSlot& slot = recent[(address >> 6) % recent.size()];
  const OpFacts* known = slot.load(std::memory_order_acquire);
  if (known == nullptr || known->op != op) return look_up_facts(op, slot);
  return *known;
}

}  // namespace tidemark
