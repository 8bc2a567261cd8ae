#include "tidemark/runtime/write_check.h"

#include <array>
#include <cstring>

#include "tidemark/graph/hash.h"
#include "tidemark/trace/shape_text.h"

namespace tidemark {
namespace {

constexpr const char* kAdvice =
    ". Something wrote to that memory that is no op: a numpy or DLPack view, or a raw pointer. "
    "What was computed from it may be computed again from other numbers; write with an op "
    "(tensor.copy_(...)), or before the step begins";

// oneDNN's workspace has gaps that nobody writes: no two runs leave the same bytes.
constexpr const char* kLeavesGaps = "aten::mkldnn_rnn_layer";

// Four lanes, so that a core is held up by memory and not by the multiplication.
std::uint64_t hash_memory(const c10::Storage& storage) {
  const auto* data = static_cast<const char*>(storage.data());
  const std::size_t size = storage.nbytes();
  std::array<std::uint64_t, 4> lanes{kHashSeed, kHashSeed + 1, kHashSeed + 2, kHashSeed + 3};
  std::size_t at = 0;
  for (; at + sizeof(lanes) <= size; at += sizeof(lanes)) {
    std::array<std::uint64_t, 4> words;
    std::memcpy(words.data(), data + at, sizeof(words));
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      lanes[i] = (lanes[i] ^ words[i]) * 0x9e3779b97f4a7c15ull;
    }
  }
  std::uint64_t hash = hash_bytes({data + at, size - at});
  for (const std::uint64_t lane : lanes) hash = hash_int(hash, static_cast<std::int64_t>(lane));
  return hash;
}

bool has_bytes(const c10::Storage& storage) {
  return storage.nbytes() > 0 && storage.unsafeGetStorageImpl()->_mutable_data_ptr_no_checks();
}

bool is_checked(const TapeBlock& block) {
  return !block.is_uninitialised && !block.is_foreign && !block.is_filled_unseen;
}

template <typename Visitor>
void visit_plain(at::ArrayRef<c10::IValue> values, Visitor&& visit) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    visit_tensors(values[i], [&](int, const at::Tensor& tensor) {
      if (is_plain(tensor) && has_bytes(tensor.storage())) visit(i, tensor);
    });
  }
}

}  // namespace

void WriteCheck::before_op(const OpFacts& op, at::ArrayRef<c10::IValue> args,
                           std::string_view place) {
  written_.clear();
  visit_plain(args, [&](std::size_t position, const at::Tensor& tensor) {
    if (op.writes[position]) written_.push_back(tensor);
    const ValueKey key = tape_.touch(tensor);
    if (!is_checked(tape_.block(key.block))) return;
    const auto known = sums_.find(key);
    if (known == sums_.end()) return note(tensor, op.name, /*is_only_read=*/true);
    if (known->second.bytes == hash_memory(tensor.storage())) return;
    std::string text = "tidemark: the bytes of argument " + std::to_string(position) + " (" +
                       shape_text(tensor) + ") of " + op.name;
    if (!place.empty()) text.append(" in ").append(place);
    text.append(" have changed since ").append(known->second.op);
    text.append(known->second.is_only_read ? " read them" : " wrote them").append(kAdvice);
    throw UnseenWrite(text);
  });
}

void WriteCheck::after_op(const OpFacts& op, at::ArrayRef<c10::IValue> returns) {
  auto note_new = [&](const at::Tensor& tensor) {
    if (sums_.count(tape_.touch(tensor)) == 0) note(tensor, op.name, /*is_only_read=*/false);
  };
  for (const at::Tensor& tensor : written_) note_new(tensor);
  written_.clear();
  if (op.name == kLeavesGaps) return;
  visit_plain(returns, [&](std::size_t, const at::Tensor& tensor) { note_new(tensor); });
}

void WriteCheck::before_serving(ValueKey key, const c10::Storage& storage, bool is_computed_again) {
  const auto known = sums_.find(key);
  if (known == sums_.end() || !has_bytes(storage)) return;
  if (!is_checked(tape_.block(key.block))) return;
  if (known->second.bytes == hash_memory(storage)) return;
  std::string text = "tidemark: what backward asks for of ";
  text.append(known->second.op);
  text.append(is_computed_again ? " was computed again and has other bytes than in the forward pass"
                                : " has other bytes than when it was saved");
  throw UnseenWrite(text.append(kAdvice));
}

void WriteCheck::note(const at::Tensor& tensor, std::string_view op, bool is_only_read) {
  const ValueKey key = tape_.touch(tensor);
  if (!is_checked(tape_.block(key.block))) return;
  sums_.insert_or_assign(key, Sum{hash_memory(tensor.storage()), op, is_only_read});
}

}  // namespace tidemark
