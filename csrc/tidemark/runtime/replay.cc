#include "tidemark/runtime/replay.h"

#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "tidemark/runtime/torch_compat.h"

namespace tidemark {
namespace {

// An op with a generator argument draws from a private one, so the user's stays untouched.
at::Generator private_generator(const GeneratorState& state) {
  auto generator = at::detail::createCPUGenerator();
  set_state(*at::check_generator<at::CPUGeneratorImpl>(generator), state);
  return generator;
}

c10::Storage clone_storage(const c10::Storage& source) {
  auto copy = c10::Storage(c10::Storage::use_byte_size_t(), source.nbytes(),
                           c10::GetAllocator(c10::kCPU), /*resizable=*/true);
  if (source.nbytes() > 0) std::memcpy(copy.mutable_data(), source.data(), source.nbytes());
  return copy;
}

bool is_unchanged(const TensorArg& arg) {
  return arg.given == nullptr || !arg.given->version_counter.enabled() ||
         arg.given->version_counter.current_version() == arg.given->version;
}

void check_source(const TensorArg& arg, const TapedOp& op) {
  TORCH_CHECK(is_unchanged(arg), "tidemark: cannot recompute ", op.facts->name,
              ": a tensor it reads was modified in place after the forward pass (version ",
              arg.given->version_counter.current_version(), ", expected ", arg.given->version, ")");
}

// A tensor without elements may be gone by now (a key-value cache begins as one): nothing is read.
bool is_without_elements(const TensorArg& arg) {
  const auto sizes = arg.geometry->sizes();
  return !arg.is_written && std::find(sizes.begin(), sizes.end(), 0) != sizes.end();
}

bool needs_value(const TensorArg& arg) {
  return !arg.is_unread_by_replay && !arg.geometry->is_wrapped_number && !is_without_elements(arg);
}

// Whether the op reads the value of `arg` there first: each op counts as one read of a value.
bool is_first_read(const TapedOp& op, const TensorArg& arg) {
  const TensorArg* first = op.tensors.data();
  return std::none_of(first, &arg, [&arg](const TensorArg& earlier) {
    return needs_value(earlier) && earlier.key == arg.key;
  });
}

class ReplayRun {
 public:
  ReplayRun(Tape& tape, const std::vector<std::int32_t>& ops, const ValueSet& targets)
      : tape_(tape), ops_(ops), targets_(targets) {
    for (std::int32_t index : ops_) {
      for (const auto& arg : op_at(index).tensors) {
        if (!needs_value(arg) || !is_first_read(op_at(index), arg)) continue;
        if (num_reads_left_[arg.key]++ > 0) continue;
        // What a running replay still reads must not be evicted to make room for it.
        if (Ref resident = tape_.find(arg.key)) locked_.push_back(std::move(resident));
      }
    }
  }

  RestoredValues run() {
    for (std::int32_t index : ops_) {
      run_one(op_at(index));
      forget_read(op_at(index));
    }
    return std::move(restored_);
  }

 private:
  struct Written {
    ValueKey key;
    c10::Storage storage;
  };

  const TapedOp& op_at(std::int32_t index) const {
    const TapedOp* op = tape_.op(index);
    TORCH_INTERNAL_ASSERT(op != nullptr && op->is_replayable, "tidemark: replay of forward op ",
                          index, ", which was not captured");
    return *op;
  }

  void run_one(const TapedOp& op) {
    const OpFacts& facts = *op.facts;
    torch::jit::Stack stack(facts.num_args);
    for (const OtherArg& arg : op.others) {
      stack[arg.position] = arg.value;
      unshare_list(stack[arg.position]);
    }
    const bool writes_over = op.can_write_over && is_spent(op.tensors.front().key);
    std::vector<Written> written;
    for (const auto& arg : op.tensors) put_arg(op, arg, stack, written);
    call(op, writes_over ? facts.in_place.value_or(facts.op) : facts.op, stack);
    keep_results(op, stack);
    for (auto& [key, storage] : written) keep_if_wanted(key, std::move(storage));
  }

  // Lists are shared by reference between stacks; the taped one must stay empty.
  static void unshare_list(c10::IValue& value) {
    if (value.isTensorList())
      value = value.toTensorList().copy();
    else if (value.isOptionalTensorList())
      value = value.toOptionalTensorList().copy();
  }

  void put_arg(const TapedOp& op, const TensorArg& arg, torch::jit::Stack& stack,
               std::vector<Written>& written) {
    if (arg.is_unread_by_replay) return;  // stays None
    c10::Storage storage = needs_value(arg) ? input_storage(op, arg, written) : number_storage(arg);
    at::Tensor tensor = make_view(std::move(storage), *arg.geometry);
    c10::IValue& slot = stack[arg.position];
    if (arg.list_index == kNone) {
      slot = std::move(tensor);
    } else if (slot.isTensorList()) {
      slot.toTensorList().set(arg.list_index, std::move(tensor));
    } else {
      slot.toOptionalTensorList().set(arg.list_index, std::move(tensor));
    }
  }

  static c10::Storage number_storage(const TensorArg& arg) {
    void* bytes = const_cast<char*>(arg.given->number.data());
    return c10::Storage(c10::Storage::use_byte_size_t(), kNumberBytes,
                        c10::DataPtr(bytes, c10::Device(c10::kCPU)), nullptr, false);
  }

  // Whether nobody but one more read of this run wants what an op of it has made.
  bool is_spent(ValueKey key) {
    return restored_.count(key) > 0 && num_reads_left_[key] == 1 && targets_.count(key) == 0;
  }

  c10::Storage input_storage(const TapedOp& op, const TensorArg& arg,
                             std::vector<Written>& written) {
    check_source(arg, op);
    const auto restored = restored_.find(arg.key);
    c10::Storage storage;
    if (restored != restored_.end()) {
      storage = restored->second.storage();
    } else {
      Ref resident = tape_.find(arg.key);
      TORCH_CHECK(resident, "tidemark: cannot recompute ", op.facts->name,
                  ": one of its inputs is no longer in memory");
      storage = resident.storage();
    }
    if (!arg.is_written) return storage;
    if (!is_spent(arg.key)) storage = clone_storage(storage);
    written.push_back({{arg.key.block, arg.key.version + 1}, storage});
    return storage;
  }

  // `variant`: the op itself or the one that writes over its first argument.
  static void call(const TapedOp& op, const c10::OperatorHandle& variant,
                   torch::jit::Stack& stack) {
    using c10::DispatchKey;
    c10::impl::ForceDispatchKeyGuard keys(c10::DispatchKeySet({DispatchKey::BackendSelect}),
                                          c10::autograd_dispatch_keyset_with_ADInplaceOrView |
                                              c10::autocast_dispatch_keyset |
                                              c10::DispatchKeySet({kTapKey}));
    // Some kernels choose what they return by it (oneDNN's RNN workspace).
    c10::AutoGradMode grad_mode(op.grad_mode);
    RECORD_FUNCTION("tidemark::replay", c10::ArrayRef<c10::IValue>{});
    std::optional<GeneratorScope> generator;
    if (op.random && op.facts->generator_arg >= 0) {
      stack[op.facts->generator_arg] = private_generator(*op.random);
    } else if (op.random) {
      const at::Generator& shared = at::detail::getDefaultCPUGenerator();
      generator.emplace(*at::check_generator<at::CPUGeneratorImpl>(shared), *op.random);
    }
    variant.callBoxed(&stack);
  }

  void keep_results(const TapedOp& op, torch::jit::Stack& stack) {
    std::uint16_t flat = 0;
    for (const auto& value : results(*op.facts, stack)) {
      visit_tensors(value, [&](int, const at::Tensor& tensor) {
        const std::uint16_t index = flat++;
        for (const auto& result : op.results) {
          if (result.index == index) keep_if_wanted({result.block, 0}, tensor.storage());
        }
      });
    }
  }

  void keep_if_wanted(ValueKey key, c10::Storage storage) {
    auto reads = num_reads_left_.find(key);
    const bool is_read = reads != num_reads_left_.end() && reads->second > 0;
    if (!is_read && targets_.count(key) == 0) return;
    if (tape_.is_resident(key)) return;
    SeenStorage* seen = tape_.enter_restored(storage, key);
    restored_.insert_or_assign(key, Ref(std::move(storage), seen));
  }

  void forget_read(const TapedOp& op) {
    for (const auto& arg : op.tensors) {
      if (!needs_value(arg) || !is_first_read(op, arg)) continue;
      if (--num_reads_left_[arg.key] == 0 && targets_.count(arg.key) == 0) restored_.erase(arg.key);
    }
  }

  Tape& tape_;
  const std::vector<std::int32_t>& ops_;
  const ValueSet& targets_;
  std::unordered_map<ValueKey, int, ValueKeyHash> num_reads_left_;
  RestoredValues restored_;
  std::vector<Ref> locked_;
};

// The op that makes `key`, or nullptr if there is none that may run again.
const TapedOp* producer_of(Tape& tape, ValueKey key) {
  const TapeBlock& block = tape.block(key.block);
  if (key.version >= static_cast<std::int32_t>(block.writers.size())) return nullptr;
  const std::int32_t writer = block.writers[key.version];
  if (writer == kNone) return nullptr;
  const TapedOp* op = tape.op(writer);
  return op != nullptr && op->is_replayable ? op : nullptr;
}

bool are_sources_unchanged(const TapedOp& op) {
  return std::all_of(op.tensors.begin(), op.tensors.end(), [](const TensorArg& arg) {
    return arg.is_unread_by_replay || is_unchanged(arg);
  });
}

// Collects the ops that restore `targets`; returns the value that cannot be restored, if any.
std::optional<ValueKey> collect(Tape& tape, std::vector<ValueKey> work,
                                std::vector<std::int32_t>& ops) {
  ValueSet visited(work.begin(), work.end());
  std::unordered_set<std::int32_t> chosen;
  for (std::size_t i = 0; i < work.size(); ++i) {
    const ValueKey key = work[i];
    if (tape.is_resident(key)) continue;
    const TapedOp* op = producer_of(tape, key);
    if (op == nullptr || !are_sources_unchanged(*op)) return key;
    if (!chosen.insert(op->index).second) continue;
    ops.push_back(op->index);
    for (const auto& arg : op->tensors) {
      if (needs_value(arg) && visited.insert(arg.key).second) work.push_back(arg.key);
    }
  }
  std::sort(ops.begin(), ops.end());
  return std::nullopt;
}

// The op that would recompute `key`. What existed before the step is never evicted, nor could its
// written versions be made again.
const TapedOp* origin_of(Tape& tape, ValueKey key) {
  if (tape.block(key.block).is_source) return nullptr;
  const TapedOp* op = producer_of(tape, key);
  return op != nullptr && are_sources_unchanged(*op) ? op : nullptr;
}

}  // namespace

RestoredValues replay(Tape& tape, const std::vector<std::int32_t>& ops, const ValueSet& targets) {
  return ReplayRun(tape, ops, targets).run();
}

bool can_replay(Tape& tape, const std::vector<std::int32_t>& ops,
                const std::vector<ValueKey>& targets) {
  ValueSet made;
  const auto is_there = [&](ValueKey key) { return made.count(key) > 0 || tape.is_resident(key); };
  for (std::int32_t index : ops) {
    const TapedOp* op = index < tape.num_ops() ? tape.op(index) : nullptr;
    if (op == nullptr || !op->is_replayable || !are_sources_unchanged(*op)) return false;
    for (const auto& arg : op->tensors) {
      if (needs_value(arg) && !is_there(arg.key)) return false;
      if (arg.is_written) made.insert({arg.key.block, arg.key.version + 1});
    }
    for (const auto& result : op->results) made.insert({result.block, 0});
  }
  return std::all_of(targets.begin(), targets.end(), is_there);
}

std::vector<std::int32_t> replay_closure(Tape& tape, const std::vector<ValueKey>& targets) {
  std::vector<std::int32_t> ops;
  const auto missing = collect(tape, targets, ops);
  TORCH_CHECK(!missing,
              "tidemark: a saved tensor that was dropped cannot be recomputed: what it was made "
              "from is gone or was modified in place");
  return ops;
}

// Depth first with a list of its own: a chain of ops may be as long as the step.
bool AnchorSearch::is_recomputable(ValueKey key) {
  std::vector<ValueKey> work = {key};
  while (!work.empty()) {
    const ValueKey next = work.back();
    const TapedOp* op = origin_of(tape_, next);
    const std::size_t size = work.size();
    if (op != nullptr && known_.count(next) == 0) {
      for (const auto& arg : op->tensors) {
        if (needs_value(arg) && known_.count(arg.key) == 0) work.push_back(arg.key);
      }
    }
    if (work.size() > size) continue;  // these first
    work.pop_back();
    known_.try_emplace(next, op != nullptr && can_start(*op));
  }
  return known_.at(key);
}

bool AnchorSearch::can_start(const TapedOp& op) const {
  return std::all_of(op.tensors.begin(), op.tensors.end(), [&](const TensorArg& arg) {
    return !needs_value(arg) || known_.at(arg.key) || tape_.is_resident(arg.key);
  });
}

std::vector<Ref> AnchorSearch::anchors(ValueKey key) {
  std::vector<Ref> anchors;
  std::vector<ValueKey> work = {key};
  ValueSet visited = {key};
  for (std::size_t i = 0; i < work.size(); ++i) {
    if (!is_recomputable(work[i])) {
      if (Ref ref = tape_.find(work[i])) anchors.push_back(std::move(ref));
      continue;
    }
    for (const auto& arg : origin_of(tape_, work[i])->tensors) {
      if (needs_value(arg) && visited.insert(arg.key).second) work.push_back(arg.key);
    }
  }
  return anchors;
}

}  // namespace tidemark
