#include "tidemark/runtime/memory_budget.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <stdexcept>

#include "tidemark/base/error.h"
#include "tidemark/runtime/debug.h"
#include "tidemark/runtime/pages.h"
#include "tidemark/runtime/self_check.h"

namespace tidemark {
namespace {

// The one step of the process that runs, if any.
const MemoryBudget* running = nullptr;

StepAllocator& allocator() { return StepAllocator::instance(); }

// A form of the step that does not come back within so many steps is not waited for.
constexpr int kMostWatchedInARow = 16;

// Plans of one form of the step that are made so that its arena fits.
constexpr int kMostMadeAnew = 4;

// Where nobody has asked for the arena, a step that it serves may take so much longer by its plan,
// as a share: page faults and the allocator's work cost more than that.
constexpr double kWorthOfArena = 0.01;

Nanoseconds predicted_ns(const PlanScript& script) {
  return script.plan().step_ns + script.plan().recompute_ns;
}

bool is_worth_its_arena(const Variant& variant) {
  const auto most = static_cast<double>(variant.ns_without_arena) * (1 + kWorthOfArena);
  return static_cast<double>(predicted_ns(*variant.script)) <= most;
}

void check_memory(Bytes memory) {
  TORCH_CHECK_VALUE(memory > 0, "tidemark: a budget is a positive number of bytes, not ", memory);
}

}  // namespace

BudgetInfeasible::BudgetInfeasible(PlanFailure why, const Event& floor_event)
    : std::invalid_argument(why.sentence),
      failure_(std::move(why)),
      op_(floor_event.name),
      scope_(floor_event.scope),
      source_(floor_event.source) {}

MemoryBudget::MemoryBudget(Bytes memory, MemoryBudgetOptions options)
    : memory_(memory), options_(std::move(options)), arenas_(options_.arena) {
  check_memory(memory);
  const std::string obstacle = self_check_obstacle();
  TORCH_CHECK_NOT_IMPLEMENTED(obstacle.empty(), "tidemark: ", obstacle);
  if (options_.plan) {
    prior_ = std::make_shared<const PlanScript>(*options_.plan, /*is_trusted=*/false);
  }
  allocator().acquire();
  install_engine_proxy();
}

MemoryBudget::~MemoryBudget() { close(); }

void MemoryBudget::close() {
  if (!is_open_) return;
  if (step_ != nullptr) leave(true);
  is_open_ = false;
  foreign_.clear();
  arenas_.close();
  allocator().release();
}

void MemoryBudget::set_memory(Bytes memory) {
  check_memory(memory);
  if (step_ != nullptr) throw std::logic_error("tidemark: a budget cannot change within a step");
  if (memory == memory_) return;
  memory_ = memory;
  variants_.for_each([this](Variant& variant) {
    variant.arena_bytes = 0;
    variant.num_made_anew = 0;
    plan_variant(variant);
  });
}

MemoryBudget::Scope::Scope(MemoryBudget& budget)
    : budget_(budget), num_exceptions_(std::uncaught_exceptions()) {
  budget_.enter();
}

MemoryBudget::Scope::~Scope() { budget_.leave(std::uncaught_exceptions() > num_exceptions_); }

const StepGraph* MemoryBudget::graph() const noexcept {
  return variants_.empty() ? nullptr : &variants_.newest().graph;
}

const Plan* MemoryBudget::plan() const noexcept {
  if (!variants_.empty() && variants_.newest().script) return &variants_.newest().script->plan();
  return prior_ ? &prior_->plan() : nullptr;
}

void MemoryBudget::enter() {
  if (!is_open_) throw std::logic_error("tidemark: step() of a budget that was closed");
  if (running != nullptr) {
    throw std::logic_error("tidemark: step() inside a step; leave the first one before");
  }
  foreign_.forget_dead();
  count_tracked();
  const AllocationId begin = allocator().next_id();
  entry_ = std::make_unique<EntryState>(last_begin_.value_or(begin));
  last_begin_ = begin;
  StepOptions options;
  options.find_place = find_place_;
  options.may_leave_tail = may_leave_tail_;
  is_debugged_ = is_debugging();
  if (is_debugged_) {
    options.record = false;
  } else {
    options.limit = memory_;
    choose_plan(options);
  }
  options.check_writes = options_.check_writes;
  options.record |= options_.check_writes;  // it looks at every op
  if (options.record) entry_->blocks();
  arenas_.begin_step(options.is_exact && !options.record ? options.script : nullptr, memory_);
  step_ = std::make_shared<Step>(std::move(options), foreign_);
  running = this;
  step_->begin();
}

void MemoryBudget::choose_plan(StepOptions& options) {
  Variant* known = num_to_watch_ > 0 ? nullptr : variants_.find(*entry_);
  if (known != nullptr) {
    options.script = script_within_budget(*known);
    options.alternatives = variants_.alternatives_to(*known, *entry_);
    options.is_exact = true;
    options.record = false;
    ++num_cache_hits_;
  } else if (prior_ == nullptr && !variants_.empty() && variants_.newest().can_never_fit(memory_) &&
             variants_.may_be_newest(*entry_)) {
    refuse(variants_.newest());
  } else {
    options.script = prior_ != nullptr ? prior_ : variants_.script_of_other_sizes(*entry_);
  }
}

void MemoryBudget::leave(bool aborted) {
  if (step_ == nullptr) throw std::logic_error("tidemark: no step to leave");
  std::shared_ptr<Step> step = std::move(step_);
  StepOutcome outcome = step->end(aborted);
  const bool went_as_planned = outcome.kind == StepKind::kPlanned && !aborted;
  arenas_.end_step(went_as_planned ? outcome.script.get() : nullptr);
  running = nullptr;
  exceeded_ = step->exceeded();
  unseen_write_ = step->unseen_write();
  count(outcome);
  variants_.note_use(outcome.script.get());
  may_leave_tail_ = may_leave_tail_ && !outcome.has_surprising_tail;
  if (outcome.kind == StepKind::kPlanned && outcome.promised_bytes != outcome.peak_bytes) {
    last_.difference = "the peak differs from the promised one";
  }
  if (is_debugged_) return;
  if (!aborted) {
    const PlanScript* form = learn_from(outcome);
    variants_.note_form(form);
    if (went_as_planned) make_room_for_arena(outcome.script.get());
  } else if (exceeded_ && outcome.kind != StepKind::kWatched) {
    watch_for(std::move(outcome.unknown_form));  // or it would fail again
  }
}

// A step that began like a known one and went on otherwise was not recorded. The steps that follow
// are, until one begins like it: programs that take turns between kinds of step come back to it.
const PlanScript* MemoryBudget::learn_from(StepOutcome& outcome) {
  if (outcome.graph) {
    if (num_to_watch_ > 0) --num_to_watch_;
    Variant& variant = variants_.add(std::move(*outcome.graph), outcome.active_at_entry, *entry_);
    if (variant.script == nullptr) plan_variant(variant);
    give_back_freed_heap();  // recording and planning took more than following does
    const bool is_found = variant.script == nullptr || !unknown_form_ ||
                          unknown_form_->is_start_of(variant.script->ops());
    if (is_found) num_to_watch_ = 0;
    return variant.script.get();
  }
  if (outcome.kind == StepKind::kPlanned) return outcome.script.get();
  watch_for(std::move(outcome.unknown_form));
  return nullptr;
}

void MemoryBudget::watch_for(std::optional<UnknownForm> form) {
  num_to_watch_ = kMostWatchedInARow;
  unknown_form_ = std::move(form);
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
  foreign_before_last_ = std::exchange(foreign_of_last_, outcome.foreign_bytes);
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
    const bool is_counted = StepAllocator::is_counted(*storage);
    if (is_counted || storage->nbytes() == 0 || foreign_.contains(storage)) continue;
    foreign_.add(storage, static_cast<Bytes>(storage->nbytes()));
  }
}

// ---- plans

void MemoryBudget::plan_variant(Variant& variant) {
  // A plan that was given for this very step is followed. One from an estimate may be for its ops
  // and sizes, and still promise another peak: workspace was modelled there and is known here.
  if (prior_ != nullptr && prior_->plan().graph_hash == variant.graph_hash &&
      is_valid_for(*prior_, variant.graph) && keeps_promise(*prior_, variant.graph)) {
    variant.script = prior_;
    variant.failure.reset();
    if (variant.peak_bytes() <= memory_) return;
  }
  const auto start = std::chrono::steady_clock::now();
  PlanOptions options;
  options.policy = options_.policy;
  options.time_limit_s = options_.time_limit_s;
  auto result = tidemark::plan(variant.graph, memory_ - variant.arena_bytes, options);
  plan_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (result) {
    variant.script = std::make_shared<const PlanScript>(std::move(*result), variant.graph);
    variant.failure.reset();
  } else {
    variant.failure = std::move(result).failure();
  }
}

// An arena is higher than the sum of what lies in it, by what lies at another time outside it. The
// plan that is followed leaves that no room: one for as much less does, if there is one.
void MemoryBudget::make_room_for_arena(const PlanScript* script) {
  Variant* const variant = variants_.with(script);
  const Bytes missing = arenas_.missing_bytes();
  if (variant == nullptr || missing == 0 || variant->num_made_anew == kMostMadeAnew) return;
  const std::shared_ptr<const PlanScript> followed = variant->script;
  const Bytes before = variant->arena_bytes;
  if (variant->num_made_anew == 0) variant->ns_without_arena = predicted_ns(*followed);
  variant->arena_bytes += missing;
  ++variant->num_made_anew;
  if (variant->arena_bytes < memory_) plan_variant(*variant);
  const bool is_another = variant->script != followed && !variant->failure;
  if (is_another && (options_.arena != ArenaUse::kAuto || is_worth_its_arena(*variant))) return;
  variant->script = followed;
  variant->failure.reset();
  variant->arena_bytes = before;
  variant->num_made_anew = kMostMadeAnew;
}

// A loop over a dataset that is older than the budget touches a batch for the first time in every
// step; what a first step touches (parameters) it touches once.
Bytes MemoryBudget::foreign_to_come() const {
  return std::min(foreign_of_last_, foreign_before_last_);
}

// More may be alive than when the step was recorded: then it is planned with that in mind.
std::shared_ptr<const PlanScript> MemoryBudget::script_within_budget(Variant& variant) {
  const Bytes more = entry_->live_bytes() + foreign_to_come() - variant.live_bytes;
  const bool must_plan = variant.failure ? more != 0 : variant.peak_bytes() + more > memory_;
  if (must_plan) {
    Bytes& others = variant.graph.entry.other_bytes;
    others = std::max<Bytes>(0, others + more);
    variant.live_bytes += more;
    plan_variant(variant);
  }
  if (variant.failure) refuse(variant);
  return variant.script;
}

void MemoryBudget::refuse(const Variant& variant) {
  TIDEMARK_ASSERT(variant.failure, "there is a plan for the form of the step that is refused");
  throw BudgetInfeasible(*variant.failure, variant.graph.events[variant.failure->floor_event]);
}

}  // namespace tidemark
