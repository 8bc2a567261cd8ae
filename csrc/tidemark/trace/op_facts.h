// OpFacts: what the tape needs to know about an operator, read once from its schema.
//
// Schemas lie in known ways (batch norm writes its running statistics unannounced, _unsafe_view
// aliases its input); those are corrected here and nowhere else.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/dispatch/OperatorEntry.h>
#include <ATen/core/stack.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tidemark {

struct OpFacts {
  explicit OpFacts(const c10::OperatorHandle& handle) : op(handle) {}

  c10::OperatorHandle op;
  std::string name;             // "aten::add.Tensor"
  std::uint64_t name_hash = 0;  // FNV-1a of name
  std::size_t num_args = 0;
  std::size_t num_returns = 0;
  std::vector<bool> writes;  // per argument
  bool writes_any = false;
  bool is_view = false;  // pure view: neither an event nor taped
  bool draws_random = false;
  bool makes_uninitialised = false;  // empty*, new_empty*
  bool repoints = false;             // set_: its tensor shows another storage, no data is written
  bool is_batch_norm = false;        // args 3, 4: running statistics; 5: training
  int generator_arg = -1;
  // Not of torch's own namespaces. Such an op may keep what it writes: it is given back or written
  // again when its library pleases.
  bool is_foreign = false;
  // Foreign, and nothing vouches for a schema that announces no write.
  bool may_write_unannounced = false;
  std::string pinned;  // why it must never be replayed, "" = may be
  // The op that writes the same bits over its first argument, of ops that work element by element.
  std::optional<c10::OperatorHandle> in_place;
};

// Returns the facts of `op`; the reference stays valid for ever. Thread-safe.
const OpFacts& facts_of(const c10::OperatorHandle& op);

// What lies on `stack` before the op has run.
inline at::ArrayRef<c10::IValue> arguments(const OpFacts& op, const torch::jit::Stack& stack) {
  return at::ArrayRef<c10::IValue>(stack.data() + stack.size() - op.num_args, op.num_args);
}
// What lies there afterwards.
inline at::ArrayRef<c10::IValue> results(const OpFacts& op, const torch::jit::Stack& stack) {
  return at::ArrayRef<c10::IValue>(stack.data() + stack.size() - op.num_returns, op.num_returns);
}

// Whether results of `schema` alias inputs and nothing is computed or written.
bool is_pure_view(const c10::FunctionSchema& schema);

}  // namespace tidemark
