#include "tidemark/runtime/memory_budget.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <map>
#include <set>
#include <stdexcept>

#include "tidemark/plan/signature.h"
#include "tidemark/plan/simulate.h"

namespace tidemark {
namespace {

// The one step of the process that runs, if any.
const MemoryBudget* running = nullptr;

StepAllocator& allocator() { return StepAllocator::instance(); }

std::vector<Bytes> sorted_sizes(const std::vector<LiveBlock>& blocks,
                                const std::set<AllocationId>& ids, bool inside) {
  std::vector<Bytes> sizes;
  for (const auto& block : blocks) {
    if ((ids.count(block.id) > 0) == inside) sizes.push_back(block.bytes);
  }
  std::sort(sizes.begin(), sizes.end());
  return sizes;
}

}  // namespace

BudgetInfeasible::BudgetInfeasible(PlanFailure why, const Event& floor_event)
    : std::invalid_argument(why.sentence),
      failure_(std::move(why)),
      op_(floor_event.name),
      scope_(floor_event.scope),
      source_(floor_event.source) {}

MemoryBudget::MemoryBudget(Bytes memory, MemoryBudgetOptions options)
    : memory_(memory), options_(std::move(options)) {
  TORCH_CHECK_VALUE(memory > 0, "tidemark: a budget is a positive number of bytes, not ", memory);
  const std::string obstacle = tap_obstacle();
  TORCH_CHECK_NOT_IMPLEMENTED(obstacle.empty(), "tidemark: ", obstacle);
  if (options_.plan) prior_ = std::make_shared<const PlanScript>(*options_.plan);
  allocator().acquire();
  install_engine_proxy();
}

MemoryBudget::~MemoryBudget() { close(); }

void MemoryBudget::close() {
  if (!is_open_) return;
  if (step_ != nullptr) leave(true);
  is_open_ = false;
  for (const auto& [storage, known] : foreign_) allocator().add_foreign(-known.bytes);
  foreign_.clear();
  allocator().release();
}

MemoryBudget::Scope::Scope(MemoryBudget& budget)
    : budget_(budget), num_exceptions_(std::uncaught_exceptions()) {
  budget_.enter();
}

MemoryBudget::Scope::~Scope() { budget_.leave(std::uncaught_exceptions() > num_exceptions_); }

const StepGraph* MemoryBudget::graph() const noexcept {
  return variants_.empty() ? nullptr : &variants_.front()->graph;
}

const Plan* MemoryBudget::plan() const noexcept {
  if (!variants_.empty() && variants_.front()->script) return &variants_.front()->script->plan();
  return prior_ ? &prior_->plan() : nullptr;
}

void MemoryBudget::enter() {
  if (!is_open_) throw std::logic_error("tidemark: step() of a budget that was closed");
  if (running != nullptr) {
    throw std::logic_error("tidemark: step() inside a step; leave the first one before");
  }
  forget_dead_foreign();
  count_tracked();
  entry_blocks_ = allocator().live_blocks();
  current_ = must_watch_ ? nullptr : find_variant(entry_blocks_);
  StepOptions options;
  options.limit = memory_;
  options.find_place = find_place_;
  if (current_ != nullptr) {
    options.script = script_within_budget(*current_);
    options.alternatives = alternatives();
    options.is_exact = true;
    options.record = false;
    ++num_cache_hits_;
  } else if (prior_ == nullptr && !variants_.empty() && variants_.front()->failure) {
    refuse(*variants_.front());
  } else {
    options.script = prior_ != nullptr ? prior_ : script_of_other_sizes();
  }
  step_ = std::make_shared<Step>(
      std::move(options),
      [this](c10::StorageImpl* storage, Bytes bytes) { return count_foreign(storage, bytes); });
  running = this;
  step_->begin();
}

void MemoryBudget::leave(bool aborted) {
  if (step_ == nullptr) throw std::logic_error("tidemark: no step to leave");
  std::shared_ptr<Step> step = std::move(step_);
  StepOutcome outcome = step->end(aborted);
  running = nullptr;
  exceeded_ = step->exceeded();
  count(outcome);
  use_variant_of(outcome.script.get());
  if (aborted) {
    must_watch_ = exceeded_ && outcome.kind != StepKind::kWatched;  // or it would fail again
    return;
  }
  if (outcome.kind == StepKind::kPlanned && outcome.peak_bytes != *outcome.promised_bytes) {
    last_.difference = "the peak differs from the promised one";
  }
  must_watch_ = !outcome.graph && outcome.kind != StepKind::kPlanned;
  if (outcome.graph) add_variant(outcome);
}

void MemoryBudget::count(const StepOutcome& outcome) {
  switch (outcome.kind) {
    case StepKind::kWatched:
      ++counts_.watched;
      break;
    case StepKind::kPlanned:
      ++counts_.planned;
      break;
    case StepKind::kAdapted:
      ++counts_.adapted;
      break;
    case StepKind::kDiverged:
      ++counts_.diverged;
      break;
  }
  peak_ = std::max(peak_, outcome.peak_bytes);
  last_ = {outcome.kind,        outcome.peak_bytes, outcome.promised_bytes,
           outcome.num_replays, outcome.tape_bytes, outcome.difference};
}

// ---- what counts

void MemoryBudget::count_tracked() {
  for (const auto& tensor : options_.track) {
    if (!tensor.defined() || !is_plain(tensor)) continue;
    c10::StorageImpl* storage =
        tensor.unsafeGetTensorImpl()->unsafe_storage().unsafeGetStorageImpl();
    if (allocator().id_of(*storage) != kNoAllocation) continue;
    const auto bytes = static_cast<Bytes>(storage->nbytes());
    if (!count_foreign(storage, bytes)) allocator().add_foreign(bytes);
  }
}

bool MemoryBudget::count_foreign(c10::StorageImpl* storage, Bytes bytes) {
  if (foreign_.count(storage) > 0) return true;
  auto owned = c10::intrusive_ptr<c10::StorageImpl>::reclaim_copy(storage);
  foreign_.emplace(storage,
                   ForeignStorage{c10::weak_intrusive_ptr<c10::StorageImpl>(owned), bytes});
  return false;
}

void MemoryBudget::forget_dead_foreign() {
  for (auto it = foreign_.begin(); it != foreign_.end();) {
    if (it->second.weak.expired()) {
      allocator().add_foreign(-it->second.bytes);
      it = foreign_.erase(it);
    } else {
      ++it;
    }
  }
}

// ---- variants

// Every live block should be of a size that the variant touched, let die, or left alone, and every
// block that it touched or let die should be there.
MemoryBudget::EntryDifference MemoryBudget::difference(const Variant& variant,
                                                       const std::vector<LiveBlock>& live) const {
  std::multiset<Bytes> wanted(variant.entry.begin(), variant.entry.end());
  EntryDifference result;
  for (const LiveBlock& block : live) {
    auto found = wanted.find(block.bytes);
    if (found != wanted.end()) {
      wanted.erase(found);
    } else if (!std::binary_search(variant.untouched.begin(), variant.untouched.end(),
                                   block.bytes)) {
      ++result.num_unexpected;
    }
  }
  result.num_missing = wanted.size();
  return result;
}

bool MemoryBudget::matches(const Variant& variant, const std::vector<LiveBlock>& live) const {
  const auto [num_missing, num_unexpected] = difference(variant, live);
  return num_missing == 0 && num_unexpected == 0;
}

// Of the latest variant whose entry state has as many blocks, some of them of other sizes.
std::shared_ptr<const PlanScript> MemoryBudget::script_of_other_sizes() const {
  for (const auto& variant : variants_) {
    const auto [num_missing, num_unexpected] = difference(*variant, entry_blocks_);
    if (num_missing == num_unexpected && variant->script) return variant->script;
  }
  return nullptr;
}

MemoryBudget::Variant* MemoryBudget::find_variant(const std::vector<LiveBlock>& live) {
  for (auto it = variants_.begin(); it != variants_.end(); ++it) {
    if (!matches(**it, live)) continue;
    std::rotate(variants_.begin(), it, it + 1);
    return variants_.front().get();
  }
  return nullptr;
}

// Other recorded forms of the step that begin in the same state.
std::vector<std::shared_ptr<const PlanScript>> MemoryBudget::alternatives() const {
  std::vector<std::shared_ptr<const PlanScript>> result;
  for (const auto& variant : variants_) {
    if (variant.get() == current_ || !variant->script) continue;
    if (matches(*variant, entry_blocks_)) result.push_back(variant->script);
  }
  return result;
}

void MemoryBudget::use_variant_of(const PlanScript* script) {
  auto it = std::find_if(variants_.begin(), variants_.end(),
                         [&](const auto& variant) { return variant->script.get() == script; });
  if (script != nullptr && it != variants_.end()) std::rotate(variants_.begin(), it, it + 1);
}

void MemoryBudget::add_variant(StepOutcome& outcome) {
  auto variant = std::make_unique<Variant>();
  std::set<AllocationId> active(outcome.touched_at_entry.begin(), outcome.touched_at_entry.end());
  active.insert(outcome.dead_at_entry.begin(), outcome.dead_at_entry.end());
  variant->entry = sorted_sizes(entry_blocks_, active, true);
  variant->untouched = sorted_sizes(entry_blocks_, active, false);
  variant->graph = std::move(*outcome.graph);
  plan_variant(*variant, memory_);
  variants_.insert(variants_.begin(), std::move(variant));
}

// Whether the plan that was given is for this very step. One from an estimate may be for its ops
// and sizes, and still promise another peak: workspace was modelled there and is known here.
bool MemoryBudget::was_given_plan_for(const StepGraph& graph) const {
  return options_.plan && options_.plan->graph_hash == graph_hash(graph) &&
         simulate(graph, *options_.plan).peak_bytes == options_.plan->peak_bytes;
}

void MemoryBudget::plan_variant(Variant& variant, Bytes budget) {
  if (was_given_plan_for(variant.graph) && options_.plan->peak_bytes <= budget) {
    variant.script = prior_;
    variant.failure.reset();
    return;
  }
  const auto start = std::chrono::steady_clock::now();
  PlanOptions options;
  options.policy = options_.policy;
  options.time_limit_s = options_.time_limit_s;
  auto result = tidemark::plan(variant.graph, budget, options);
  plan_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (result) {
    variant.script = std::make_shared<const PlanScript>(std::move(*result));
    variant.failure.reset();
  } else {
    variant.failure = std::move(result).failure();
  }
}

// More may be alive than when the step was recorded: that much less is left to plan with.
std::shared_ptr<const PlanScript> MemoryBudget::script_within_budget(Variant& variant) {
  if (variant.failure) refuse(variant);
  const Bytes offset = allocator().live_bytes() - variant.script->entry_bytes();
  if (memory_ != kUnlimited && variant.script->plan().peak_bytes + offset > memory_) {
    plan_variant(variant, memory_ - offset);
    if (variant.failure) refuse(variant);
  }
  return variant.script;
}

void MemoryBudget::refuse(const Variant& variant) {
  throw BudgetInfeasible(*variant.failure, variant.graph.events[variant.failure->floor_event]);
}

}  // namespace tidemark
