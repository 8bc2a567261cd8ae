// Tape: the storages, versions and ops of one running step, by identity instead of by reference.
//
// It knows every storage that an op touched (weakly, which also keeps its address from being used
// again), which op made each version of it, and enough of each forward op to run it again. It holds
// a tensor alive only through a Ref. It never holds results of backward: one extra reference would
// turn autograd's gradient stealing and in-place accumulation into copies.
//
// A block is the storage a value lies in as recorded; a value is (block, version). A block restored
// by a replay is another StorageImpl that stands for one version of the same block.
//
// Everything it notes lies in one region that only grows and goes with the tape, so that noting an
// op costs no allocation of its own.
//
// Not thread-safe: one step, one thread at a time.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Storage.h>
#include <c10/util/SmallVector.h>

#include <array>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/base/pointer_map.h"
#include "tidemark/base/stable_vector.h"
#include "tidemark/graph/graph.h"
#include "tidemark/runtime/generator_state.h"
#include "tidemark/runtime/geometry.h"
#include "tidemark/runtime/step_allocator.h"
#include "tidemark/trace/op_facts.h"

namespace tidemark {

struct ValueKey {
  std::int32_t block = kNone;
  std::int32_t version = 0;
  bool operator==(const ValueKey&) const = default;
};

struct ValueKeyHash {
  std::size_t operator()(ValueKey key) const noexcept {
    return static_cast<std::size_t>(key.block) * 0x9e3779b97f4a7c15ull + key.version;
  }
};

// One StorageImpl that the step has seen.
struct SeenStorage {
  SeenStorage(c10::StorageImpl* impl, std::int32_t block, std::int32_t version);
  c10::weak_intrusive_ptr<c10::StorageImpl> weak;
  c10::StorageImpl* raw;
  std::int32_t block;
  std::int32_t version;      // kNone: the original, follows the block's version
  int num_runtime_refs = 0;  // how many of its references are the runtime's

  bool is_held_by_program() const { return static_cast<int>(weak.use_count()) > num_runtime_refs; }
};

// A reference of the runtime to a storage, counted in SeenStorage::num_runtime_refs.
class Ref {
 public:
  Ref() = default;
  Ref(c10::Storage storage, SeenStorage* seen);
  Ref(Ref&& other) noexcept;
  Ref& operator=(Ref&& other) noexcept;
  ~Ref() { reset(); }
  void reset() noexcept;
  explicit operator bool() const { return seen_ != nullptr; }
  const c10::Storage& storage() const { return storage_; }
  SeenStorage* seen() const { return seen_; }

 private:
  c10::Storage storage_;
  SeenStorage* seen_ = nullptr;
};

// A tensor argument of a taped op.
struct TensorArg {
  std::uint16_t position = 0;
  std::int16_t list_index = kNone;  // kNone: not in a list
  bool is_written = false;
  bool is_unread_by_replay = false;  // running statistics of a training batch norm
  ValueKey key;
  // Of ops that may run again, on the tape:
  const Geometry* geometry = nullptr;
  const struct GivenTensor* given = nullptr;  // nullptr: an op of the step has made it
};

inline constexpr std::size_t kNumberBytes = 16;

// An argument that no op of the step has made.
struct GivenTensor {
  c10::VariableVersion version_counter;  // of sources: a write elsewhere shows here
  std::uint32_t version = 0;
  std::array<char, kNumberBytes> number{};  // the bytes of a wrapped number
};

// An argument of a taped op that is neither a tensor nor None; of lists of tensors, their length.
struct OtherArg {
  std::uint16_t position;
  c10::IValue value;
};

struct OpResult {
  std::uint16_t index;  // among the tensors of all returns, lists flattened
  std::int32_t block;
};

struct TapedOp {
  TapedOp(const OpFacts& op_facts, std::int32_t op_index)
      : facts(&op_facts),
        index(op_index),
        flow_hash(op_facts.name_hash),
        pinned(op_facts.pinned.c_str()) {}
  TapedOp(const TapedOp&) = delete;
  TapedOp& operator=(const TapedOp&) = delete;
  ~TapedOp() { std::destroy(others.begin(), others.end()); }
  bool is_pinned() const { return *pinned != '\0'; }

  const OpFacts* facts;
  std::int32_t index;               // among the forward ops of the step
  bool updates_statistics = false;  // a training batch norm
  bool has_written_args = false;    // some of its tensors
  bool is_replayable = false;       // args are taped and nothing forbids running it again
  bool can_write_over = false;      // its result lies as its first argument does: facts->in_place
  bool grad_mode = false;
  std::uint64_t flow_hash;  // see ExpectedOp
  const char* pinned;       // why not replayable, "" if it may be; text that stays
  Nanoseconds cost_ns = 0;
  std::span<TensorArg> tensors;
  std::span<OtherArg> others;             // only of ops that may run again
  c10::SmallVector<OpResult, 1> results;  // fresh storages only
  std::unique_ptr<GeneratorState> random;
};

struct TapeBlock {
  SeenStorage* original = nullptr;
  std::int32_t version = 0;             // writes seen so far
  std::int32_t forward_number = kNone;  // order of first touch by a forward op
  std::int32_t last_op = kNone;         // the last forward op that was given it
  bool is_source = false;               // existed before the step, or nobody saw it made
  bool is_uninitialised = false;        // made by empty* and not written since
  bool is_filled_unseen = false;        // read while uninitialised: it cannot be made again
  bool is_foreign = false;              // written by an op of another library
  bool is_resized = false;              // its storage has other memory now: see Tape::move_on
  Bytes bytes = 0;
  AllocationId allocation = kNoAllocation;    // of results: only if the tape was asked for it
  c10::SmallVector<std::int32_t, 2> writers;  // per version: the op that made it, or kNone
  struct ValueState* newest = nullptr;        // of the versions that something is known of
};

// What the step knows of one value beyond its block.
struct ValueState {
  explicit ValueState(ValueKey value_key, ValueState* older_one)
      : key(value_key), older(older_one) {}
  const ValueKey key;
  ValueState* const older;  // the next older version of the block that something is known of
  Ref kept;                 // the runtime's reference
  Ref serving;              // restored for handles about to be served
  SeenStorage* restored = nullptr;
  int num_handles = 0;
  int num_pending = 0;             // handles of the current unpack event not served yet
  std::int64_t last_use = 0;       // forward ops seen when it was packed or restored last
  std::vector<Ref> anchors;        // evicted: what it is recomputed from and cannot be itself
  bool is_dropped = false;         // handles packed from now on are born dropped
  bool has_spare_anchors = false;  // dropped by a plan, which restores it from what it keeps
};

// Returns whether `tensor` is a dense CPU tensor with a storage of its own and no wrapper.
inline bool is_plain(const at::Tensor& tensor) {
  using c10::DispatchKey;
  constexpr c10::DispatchKeySet wrappers(
      {DispatchKey::Python, DispatchKey::FuncTorchBatched, DispatchKey::FuncTorchGradWrapper,
       DispatchKey::Functionalize, DispatchKey::ZeroTensor, DispatchKey::MkldnnCPU,
       DispatchKey::Quantized, DispatchKey::NestedTensor});
  auto* impl = tensor.unsafeGetTensorImpl();
  return !impl->key_set().has_any(wrappers) && impl->unsafe_storage() &&
         impl->layout() == at::kStrided && impl->device_type() == c10::kCPU;
}

// Calls visit(list_index, tensor) for every defined tensor in `value`.
template <typename Visitor>
void visit_tensors(const c10::IValue& value, Visitor&& visit);

class Tape {
 public:
  // `with_allocations`: results know their AllocationId (a look-up each).
  explicit Tape(bool with_allocations) : with_allocations_(with_allocations) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // Makes room at once for about so many ops.
  void expect(std::size_t num_ops);

  // The block and version `tensor` shows now; an unknown storage becomes a source.
  ValueKey touch(const at::Tensor& tensor);
  // As touch, for a tensor that an op is about to write. A storage that was given other memory
  // outside of ops (FSDP frees parameters and gathers them again) is a new block from then on.
  ValueKey touch_to_write(const at::Tensor& tensor);
  // As touch, for a storage that an op has just made. `writer` is the op's index.
  ValueKey enter_result(const at::Tensor& tensor, std::int32_t writer, bool& is_new);
  // Enters a storage that a replay made for `key`.
  SeenStorage* enter_restored(const c10::Storage& storage, ValueKey key);

  // Notes a forward op before it runs, and enough of it to run it again unless it is pinned. The
  // reference of a pinned one is good until the next begin_op, of others as long as the tape.
  TapedOp& begin_op(const OpFacts& facts, at::ArrayRef<c10::IValue> args);
  // Notes the results and writes of the op that begin_op noted last.
  void end_op(TapedOp& op, at::ArrayRef<c10::IValue> returns);
  // A write to `tensor` by an op that is not taped.
  void note_write(const at::Tensor& tensor);

  // The storage that holds `key` at its version now, or an empty Ref.
  Ref find(ValueKey key);
  bool is_resident(ValueKey key) { return static_cast<bool>(find(key)); }

  std::int64_t num_ops() const { return static_cast<std::int64_t>(ops_.size()); }
  // nullptr if it is pinned.
  const TapedOp* op(std::int32_t index) const { return ops_[index]; }
  TapeBlock& block(std::int32_t index) { return blocks_[index]; }
  std::int32_t num_blocks() const { return static_cast<std::int32_t>(blocks_.size()); }
  std::int32_t num_sources() const { return num_sources_; }  // blocks that are sources
  // kNone if no forward op has touched that many blocks.
  std::int32_t block_of_forward_number(std::int32_t number) const;
  void number_by_forward_op(std::int32_t block);

  ValueState& value(ValueKey key);
  ValueState* find_value(ValueKey key);
  StableVector<ValueState>& values() { return values_; }  // in the order they became known
  SeenStorage* seen(const at::Tensor& tensor);

  // Values that have handles and are dropped.
  std::int64_t num_dropped() const { return num_dropped_; }
  void set_dropped(ValueState& value, bool is_dropped);
  void add_handle(ValueState& value);
  void remove_handle(ValueState& value);

  // Stays as long as the tape.
  const Geometry& geometry_of(const at::Tensor& tensor) { return geometries_.of(tensor); }

  Bytes tape_bytes() const;

 private:
  ValueKey key_of(const SeenStorage& seen) const;  // what it shows now
  // To be entered into by_storage_.
  SeenStorage* add_block(c10::StorageImpl* impl, bool is_source);
  // Whether `result`, all of a block of its own, lies as all of the first argument's block does.
  bool lies_alike(const TapedOp& op, const at::Tensor& result) const;
  // The storage of `arg` was given other memory by `op` (resize_, out=): a block of its own.
  void move_on(TapedOp& op, TensorArg& arg);
  // Room for the tensors among the arguments of `op`.
  TensorArg* allocate_tensors(const TapedOp& op, std::size_t num_tensors);
  // `arg` knows its place among the arguments.
  void note_tensor(TapedOp& op, TensorArg& arg, const at::Tensor& tensor);
  TIDEMARK_RARE static void note_statistics(TensorArg& arg);
  TIDEMARK_RARE void note_read_of_uninitialised(TapedOp& op, TapeBlock& block);
  void note_writes_of(TapedOp& op);
  const GivenTensor& capture_given(const at::Tensor& tensor, const Geometry& geometry);
  void capture_others(TapedOp& op, at::ArrayRef<c10::IValue> args, std::size_t num_others);
  template <typename T>
  T* allocate(std::size_t size) {
    arg_bytes_ += size * sizeof(T);
    return static_cast<T*>(memory_.allocate(size * sizeof(T), alignof(T)));
  }

  std::pmr::monotonic_buffer_resource memory_{std::size_t{1} << 16};
  bool with_allocations_;
  StableVector<SeenStorage> storages_{&memory_};
  PointerMap<SeenStorage*> by_storage_;
  StableVector<TapeBlock> blocks_{&memory_};
  std::int32_t num_sources_ = 0;
  std::vector<std::int32_t> by_forward_number_;
  StableVector<TapedOp> captured_{&memory_};
  StableVector<GivenTensor> given_{&memory_};
  GeometryTable geometries_{memory_};
  std::vector<TapedOp*> ops_;            // nullptr: pinned
  std::optional<TapedOp> scratch_;       // the op that runs, if it is pinned
  std::vector<TensorArg> scratch_args_;  // its tensors
  std::size_t arg_bytes_ = 0;
  std::size_t num_random_ = 0;  // ops that keep the generator's state
  StableVector<ValueState> values_{&memory_};
  std::int64_t num_dropped_ = 0;
};

template <typename Visitor>
void visit_tensors(const c10::IValue& value, Visitor&& visit) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) visit(kNone, value.toTensor());
  } else if (value.isList()) {
    int i = 0;
    for (const c10::IValue& element : value.toListRef()) {
      if (element.isTensor()) {
        if (element.toTensor().defined()) visit(i, element.toTensor());
      } else if (!element.isNone()) {
        return;  // a list of something else
      }
      ++i;
    }
  }
}

}  // namespace tidemark
