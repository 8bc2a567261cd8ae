#include "tidemark/runtime/tape.h"

#include <ATen/Utils.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <cstring>

#include "tidemark/graph/hash.h"

namespace tidemark {
namespace {

constexpr int kRunningMean = 3;
constexpr int kRunningVar = 4;
constexpr int kTraining = 5;

bool is_training_batch_norm(const OpFacts& facts, at::ArrayRef<c10::IValue> args) {
  return facts.is_batch_norm && args[kTraining].isBool() && args[kTraining].toBool();
}

c10::StorageImpl* storage_impl(const at::Tensor& tensor) {
  return tensor.unsafeGetTensorImpl()->unsafe_storage().unsafeGetStorageImpl();
}

std::unique_ptr<GeneratorState> save_generator(const OpFacts& facts,
                                               at::ArrayRef<c10::IValue> args) {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  if (facts.generator_arg >= 0 && args[facts.generator_arg].isGenerator()) {
    generator = args[facts.generator_arg].toGenerator();
  }
  return std::make_unique<GeneratorState>(
      state_of(*at::check_generator<at::CPUGeneratorImpl>(generator)));
}

bool is_tensor_or_none(const c10::IValue& arg) {
  return arg.isNone() || (arg.isTensor() && arg.toTensor().defined());
}

// What is taped of an argument holds no tensor: a list of them keeps its length.
c10::IValue without_tensors(const c10::IValue& arg) {
  if (arg.isTensorList()) {
    c10::List<at::Tensor> list;
    list.resize(arg.toListRef().size());
    return list;
  }
  if (arg.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    list.resize(arg.toListRef().size());
    return list;
  }
  return arg;
}

// What begin_op makes room for.
struct ArgCounts {
  std::size_t tensors = 0;
  std::size_t others = 0;
};

std::size_t count_tensors(const c10::IValue& list) {
  std::size_t count = 0;
  visit_tensors(list, [&](int, const at::Tensor&) { ++count; });
  return count;
}

ArgCounts count(at::ArrayRef<c10::IValue> args) {
  ArgCounts counts;
  for (const c10::IValue& arg : args) {
    if (!is_tensor_or_none(arg)) {
      ++counts.others;
      if (arg.isList()) counts.tensors += count_tensors(arg);
    } else if (arg.isTensor()) {
      ++counts.tensors;
    }
  }
  return counts;
}

}  // namespace

SeenStorage::SeenStorage(c10::StorageImpl* impl, std::int32_t block_index, std::int32_t at_version)
    : weak(c10::intrusive_ptr<c10::StorageImpl>::reclaim_copy(impl)),
      raw(impl),
      block(block_index),
      version(at_version) {}

Ref::Ref(c10::Storage storage, SeenStorage* seen) : storage_(std::move(storage)), seen_(seen) {
  ++seen_->num_runtime_refs;
}

Ref::Ref(Ref&& other) noexcept : storage_(std::move(other.storage_)), seen_(other.seen_) {
  other.seen_ = nullptr;
}

Ref& Ref::operator=(Ref&& other) noexcept {
  if (this != &other) {
    reset();
    storage_ = std::move(other.storage_);
    seen_ = std::exchange(other.seen_, nullptr);
  }
  return *this;
}

void Ref::reset() noexcept {
  if (seen_ == nullptr) return;
  --seen_->num_runtime_refs;
  seen_ = nullptr;
  // Moved out first: the free below may come back here through the allocator's observer.
  c10::Storage last = std::exchange(storage_, c10::Storage());
}

void Tape::expect(std::size_t num_ops) {
  ops_.reserve(num_ops);
  by_forward_number_.reserve(num_ops);  // about one block per op
  by_storage_.reserve(num_ops);
}

SeenStorage* Tape::add_block(c10::StorageImpl* impl, bool is_source) {
  const auto index = static_cast<std::int32_t>(blocks_.size());
  SeenStorage& seen = storages_.emplace_back(impl, index, kNone);
  TapeBlock& block = blocks_.emplace_back();
  block.original = &seen;
  block.is_source = is_source;
  num_sources_ += static_cast<std::int32_t>(is_source);
  block.bytes = static_cast<Bytes>(impl->nbytes());
  if (is_source || with_allocations_) {
    block.allocation = StepAllocator::instance().id_of(*impl);
  }
  return &seen;
}

SeenStorage* Tape::seen(const at::Tensor& tensor) {
  SeenStorage** known = by_storage_.find(storage_impl(tensor));
  return known == nullptr ? nullptr : *known;
}

ValueKey Tape::touch(const at::Tensor& tensor) {
  c10::StorageImpl* const storage = storage_impl(tensor);
  SeenStorage*& known = by_storage_[storage];
  if (known == nullptr) known = add_block(storage, true);
  return key_of(*known);
}

ValueKey Tape::touch_to_write(const at::Tensor& tensor) {
  c10::StorageImpl* const storage = storage_impl(tensor);
  SeenStorage*& known = by_storage_[storage];
  if (known == nullptr) {
    known = add_block(storage, true);
  } else if (known->version == kNone) {
    TapeBlock& block = blocks_[known->block];
    const bool knows_allocation = block.is_source || with_allocations_;
    if (knows_allocation && StepAllocator::instance().id_of(*storage) != block.allocation) {
      block.is_resized = true;
      known = add_block(storage, true);
    }
  }
  return key_of(*known);
}

ValueKey Tape::key_of(const SeenStorage& seen) const {
  return {seen.block, seen.version == kNone ? blocks_[seen.block].version : seen.version};
}

ValueKey Tape::enter_result(const at::Tensor& tensor, std::int32_t writer, bool& is_new) {
  c10::StorageImpl* const storage = storage_impl(tensor);
  SeenStorage*& known = by_storage_[storage];
  is_new = known == nullptr;
  if (is_new) {
    known = add_block(storage, false);
    blocks_[known->block].writers.push_back(writer);
  }
  return {known->block, blocks_[known->block].version};
}

SeenStorage* Tape::enter_restored(const c10::Storage& storage, ValueKey key) {
  c10::StorageImpl* impl = storage.unsafeGetStorageImpl();
  SeenStorage*& known = by_storage_[impl];
  if (known == nullptr) {
    known = &storages_.emplace_back(impl, key.block, key.version);
  } else if (known->version != kNone) {  // a replay has written it on
    known->block = key.block;
    known->version = key.version;
  }
  return known;
}

void Tape::number_by_forward_op(std::int32_t index) {
  TapeBlock& block = blocks_[index];
  if (block.forward_number != kNone) return;
  block.forward_number = static_cast<std::int32_t>(by_forward_number_.size());
  by_forward_number_.push_back(index);
}

std::int32_t Tape::block_of_forward_number(std::int32_t number) const {
  const auto size = static_cast<std::int32_t>(by_forward_number_.size());
  return number >= 0 && number < size ? by_forward_number_[number] : kNone;
}

void Tape::note_tensor(TapedOp& op, TensorArg& arg, const at::Tensor& tensor) {
  const OpFacts& facts = *op.facts;
  arg.is_written = facts.may_write_unannounced || (facts.writes_any && facts.writes[arg.position]);
  arg.key = arg.is_written ? touch_to_write(tensor) : touch(tensor);
  if (op.updates_statistics) note_statistics(arg);
  op.has_written_args = op.has_written_args || arg.is_written;
  number_by_forward_op(arg.key.block);
  TapeBlock& block = blocks_[arg.key.block];
  if (block.last_op != op.index) {
    block.last_op = op.index;
    op.flow_hash = hash_int(op.flow_hash, block.forward_number);
  }
  if (block.is_uninitialised && !arg.is_written) note_read_of_uninitialised(op, block);
  if (block.is_foreign) op.pinned = "reads memory that an op of another library has written";
  if (!facts.pinned.empty()) return;
  arg.geometry = &geometry_of(tensor);
  const bool is_given = block.is_source || arg.geometry->is_wrapped_number;
  if (is_given) arg.given = &capture_given(tensor, *arg.geometry);
}

// Running statistics of a training batch norm.
void Tape::note_statistics(TensorArg& arg) {
  if (arg.position != kRunningMean && arg.position != kRunningVar) return;
  arg.is_unread_by_replay = true;
  arg.is_written = true;
}

// Nobody computes with what empty() leaves: numpy or a raw pointer has filled it.
void Tape::note_read_of_uninitialised(TapedOp& op, TapeBlock& block) {
  op.pinned = "reads uninitialised memory";
  block.is_filled_unseen = true;
  if (block.writers.empty() || block.writers.front() == kNone) return;
  TapedOp* maker = ops_[block.writers.front()];
  if (maker != nullptr) maker->is_replayable = false;
}

const GivenTensor& Tape::capture_given(const at::Tensor& tensor, const Geometry& geometry) {
  GivenTensor& given = given_.emplace_back();
  auto* impl = tensor.unsafeGetTensorImpl();
  if (geometry.is_wrapped_number) {
    std::memcpy(given.number.data(), tensor.const_data_ptr(),
                std::min(kNumberBytes, tensor.nbytes()));
  } else if (!impl->is_inference()) {
    given.version_counter = impl->version_counter();
    given.version = given.version_counter.current_version();
  }
  return given;
}

void Tape::capture_others(TapedOp& op, at::ArrayRef<c10::IValue> args, std::size_t num_others) {
  auto* others = allocate<OtherArg>(num_others);
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (is_tensor_or_none(args[i])) continue;
    std::construct_at(others + op.others.size(), static_cast<std::uint16_t>(i),
                      without_tensors(args[i]));
    op.others = {others, op.others.size() + 1};
  }
}

TensorArg* Tape::allocate_tensors(const TapedOp& op, std::size_t num_tensors) {
  if (op.facts->pinned.empty()) return allocate<TensorArg>(num_tensors);
  scratch_args_.resize(num_tensors);
  return scratch_args_.data();
}

TapedOp& Tape::begin_op(const OpFacts& facts, at::ArrayRef<c10::IValue> args) {
  const bool captures = facts.pinned.empty();
  const auto index = static_cast<std::int32_t>(ops_.size());
  TapedOp& op = captures ? captured_.emplace_back(facts, index) : scratch_.emplace(facts, index);
  ops_.push_back(captures ? &op : nullptr);
  op.grad_mode = c10::GradMode::is_enabled();
  op.updates_statistics = is_training_batch_norm(facts, args);
  const ArgCounts counts = count(args);
  TensorArg* const tensors = allocate_tensors(op, counts.tensors);
  std::size_t num_tensors = 0;
  for (std::size_t i = 0; i < args.size(); ++i) {
    visit_tensors(args[i], [&](int list_index, const at::Tensor& tensor) {
      if (is_plain(tensor)) {
        TensorArg& arg = *std::construct_at(tensors + num_tensors++);
        arg.position = static_cast<std::uint16_t>(i);
        arg.list_index = static_cast<std::int16_t>(list_index);
        note_tensor(op, arg, tensor);
      } else {
        op.pinned = "a tensor without a plain storage";
      }
    });
  }
  op.tensors = {tensors, num_tensors};
  op.is_replayable = captures && !op.is_pinned();
  if (op.is_replayable) {
    if (counts.others > 0) capture_others(op, args, counts.others);
    if (facts.draws_random) {
      op.random = save_generator(facts, args);
      ++num_random_;
    }
  }
  return op;
}

void Tape::end_op(TapedOp& op, at::ArrayRef<c10::IValue> returns) {
  std::uint16_t flat = 0;
  for (const auto& value : returns) {
    visit_tensors(value, [&](int, const at::Tensor& tensor) {
      const std::uint16_t position = flat++;
      if (!is_plain(tensor)) {
        op.is_replayable = false;
        op.pinned = "a result without a plain storage";
        return;
      }
      if (op.facts->repoints) {
        touch(tensor);  // whoever made the storage, this op did not
        return;
      }
      bool is_new = false;
      const ValueKey key = enter_result(tensor, op.index, is_new);
      if (!is_new) return;
      number_by_forward_op(key.block);
      blocks_[key.block].is_uninitialised = op.facts->makes_uninitialised;
      op.results.push_back({position, key.block});  // seldom more than one
      if (op.is_replayable && op.facts->in_place) op.can_write_over = lies_alike(op, tensor);
    });
  }
  if (op.has_written_args) note_writes_of(op);
}

void Tape::note_writes_of(TapedOp& op) {
  for (auto& arg : op.tensors) {
    if (!arg.is_written) continue;
    TapeBlock& block = blocks_[arg.key.block];
    if (block.version != arg.key.version) continue;  // the same block written through two args
    if (static_cast<Bytes>(block.original->raw->nbytes()) > block.bytes) {
      move_on(op, arg);
      continue;
    }
    ++block.version;
    block.is_uninitialised = false;
    block.is_foreign = block.is_foreign || op.facts->is_foreign;
    block.writers.resize(block.version + 1, kNone);
    block.writers[block.version] = op.index;
  }
}

bool Tape::lies_alike(const TapedOp& op, const at::Tensor& result) const {
  const TensorArg& self = op.tensors.front();
  const Geometry& geometry = *self.geometry;
  const auto is_read_again = [&self](const TensorArg& arg) {
    return &arg != &self && arg.key.block == self.key.block;
  };
  return self.position == 0 && result.dtype() == geometry.dtype && !geometry.is_wrapped_number &&
         geometry.marks.empty() && !result.is_conj() && !result.is_neg() && geometry.offset == 0 &&
         result.storage_offset() == 0 &&
         static_cast<Bytes>(result.nbytes()) == blocks_[self.key.block].bytes &&
         result.nbytes() == result.storage().nbytes() && result.sizes() == geometry.sizes() &&
         result.strides() == geometry.strides() &&
         std::none_of(op.tensors.begin(), op.tensors.end(), is_read_again);
}

void Tape::move_on(TapedOp& op, TensorArg& arg) {
  arg.is_written = false;
  op.is_replayable = false;
  op.pinned = "changes the size of a storage";
  blocks_[arg.key.block].is_resized = true;
  c10::StorageImpl* const storage = blocks_[arg.key.block].original->raw;
  SeenStorage* seen = add_block(storage, false);
  by_storage_[storage] = seen;
  blocks_[seen->block].writers.push_back(op.index);
  number_by_forward_op(seen->block);
  op.results.push_back({0, seen->block});  // never replayed: its position is not asked for
}

void Tape::note_write(const at::Tensor& tensor) {
  TapeBlock& block = blocks_[touch(tensor).block];
  ++block.version;
  block.writers.resize(block.version + 1, kNone);
  block.writers[block.version] = kNone;
}

ValueState* Tape::find_value(ValueKey key) {
  ValueState* value = blocks_[key.block].newest;
  while (value != nullptr && value->key.version != key.version) value = value->older;
  return value;
}

ValueState& Tape::value(ValueKey key) {
  if (ValueState* known = find_value(key)) return *known;
  TapeBlock& block = blocks_[key.block];
  block.newest = &values_.emplace_back(key, block.newest);
  return *block.newest;
}

void Tape::set_dropped(ValueState& value, bool is_dropped) {
  if (value.num_handles > 0) {
    num_dropped_ += static_cast<int>(is_dropped) - static_cast<int>(value.is_dropped);
  }
  value.is_dropped = is_dropped;
}

void Tape::add_handle(ValueState& value) {
  if (value.num_handles++ == 0 && value.is_dropped) ++num_dropped_;
}

void Tape::remove_handle(ValueState& value) {
  if (--value.num_handles == 0 && value.is_dropped) --num_dropped_;
}

Ref Tape::find(ValueKey key) {
  const TapeBlock& block = blocks_[key.block];
  auto lock = [&](SeenStorage* seen) -> Ref {
    if (seen == nullptr) return {};
    // A block that was written since holds another version; a restored one never changes.
    const bool is_older = block.is_resized || block.version != key.version;
    if (seen->version == kNone && is_older) return {};
    auto impl = seen->weak.lock();
    if (!impl || impl->nbytes() < static_cast<std::size_t>(block.bytes)) return {};
    return Ref(c10::Storage(std::move(impl)), seen);
  };
  if (ValueState* value = find_value(key)) {
    if (Ref ref = lock(value->kept.seen())) return ref;
    if (Ref ref = lock(value->serving.seen())) return ref;
    if (Ref ref = lock(block.original)) return ref;
    return lock(value->restored);
  }
  return lock(block.original);
}

Bytes Tape::tape_bytes() const {
  return static_cast<Bytes>(arg_bytes_ + captured_.size() * sizeof(TapedOp) +
                            given_.size() * sizeof(GivenTensor) +
                            num_random_ * sizeof(GeneratorState) +
                            blocks_.size() * (sizeof(TapeBlock) + sizeof(SeenStorage)) +
                            values_.size() * sizeof(ValueState) + geometries_.bytes());
}

}  // namespace tidemark
