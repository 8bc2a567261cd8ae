#include "tidemark/runtime/step_arena.h"

#include <algorithm>
#include <new>

#include "tidemark/arena/scarce_room.h"
#include "tidemark/runtime/pages.h"
#include "tidemark/runtime/step_allocator.h"

namespace tidemark {
namespace {

constexpr Bytes kAlignment = 64;  // as c10::gAlignment: vector instructions rely on it

// Steps are waiting for it. Best fit in one sweep, the first thing tried, is often optimal.
constexpr std::int64_t kPackingWork = 40'000'000;

// Where that is too high: then everything depends on it, once.
constexpr std::int64_t kHardPackingWork = 2 * kPackingWork;

// A step that differs so often in a row from what was learned is learned anew, at most so often.
constexpr int kMostFailures = 3;
constexpr int kMostLearned = 4;

}  // namespace

c10::Allocator* StepArena::begin_step(const Options& options) {
  why_not_.clear();
  missing_bytes_ = 0;
  is_serving_ = plan_ && can_serve(options);
  if (is_serving_) return arena_.get();
  if (plan_ && plan_->height() > 0) return follow_if_needed();
  if (plan_ || num_learned_ == kMostLearned) return nullptr;
  why_not_ = "what the step allocates is being learned";
  if (trace_ == nullptr) trace_ = std::make_shared<AllocationTrace>(under_);
  trace_->begin_step();
  return trace_.get();
}

// What a step that is not served leaves outside is room that the next one does not need twice.
// Addresses are reserved for it, which only a new arena can. Following costs something at every
// allocation: where there is no room even so, it waits until there is.
c10::Allocator* StepArena::follow_if_needed() {
  arena_.reset();
  is_followed_ = missing_bytes_ == 0;
  if (!is_followed_) return nullptr;
  learned_ = learned_->for_next_step();
  return learned_.get();
}

bool StepArena::can_serve(const Options& options) {
  if (plan_->height() == 0) {
    why_not_ = "the step allocates nothing that it frees";
    return false;
  }
  has_new_mapping_ = arena_ == nullptr || !arena_->begin_step();
  if (has_new_mapping_) arena_.reset();
  if (!fits(options.limit)) return false;
  if (!has_new_mapping_) return true;
  if (!is_followed_) {
    why_not_ = "what the step before left is not known";
    return false;
  }
  try {
    arena_ =
        PlannedArena::make(*plan_, under_, {options.is_debugging, options.limit != kUnlimited});
  } catch (const std::bad_alloc&) {
    why_not_ = "the system has no room for " + std::to_string(plan_->height()) + " bytes";
    return false;
  }
  ++counts_.mappings;
  give_back_freed_heap();  // what the steps before it had from malloc
  if (options.limit != kUnlimited) {
    learned_->reserve_outliving(*plan_, *arena_);
    learned_ = learned_->for_next_step();  // what it knew is this arena's
  }
  return arena_->begin_step();
}

// What lives outside the arena is counted as it is; in the arena, the whole height counts, but for
// slots of what the last step left outside.
bool StepArena::fits(Bytes limit) {
  if (limit == kUnlimited) return true;
  missing_bytes_ = excess(limit);
  if (missing_bytes_ > 0 && has_overlaps_) {
    plan_two_steps(limit);
    missing_bytes_ = excess(limit);
  }
  if (missing_bytes_ > 0 && !has_tried_all_) {
    leave_out(limit);
    missing_bytes_ = excess(limit);
  }
  missing_bytes_ = std::max<Bytes>(missing_bytes_, 0);
  if (missing_bytes_ == 0) return true;
  const Bytes outside = limit + missing_bytes_ - plan_->height();
  why_not_ = "its height of " + format_bytes(plan_->height()) + " and " + format_bytes(outside) +
             " outside it are " + format_bytes(missing_bytes_) + " above the budget";
  return false;
}

Bytes StepArena::excess(Bytes limit) {
  if (arena_ != nullptr) {
    left_inside_ = arena_->server().live_bytes();
  } else if (is_followed_) {
    left_inside_ = learned_->outliving_bytes(*plan_);
  }
  const Bytes outside = StepAllocator::instance().live_bytes() - left_inside_ + outside_growth_;
  return outside + plan_->height() - limit;
}

void StepArena::end_step(bool went_as_planned) {
  if (is_serving_) {
    const SlotServer& server = arena_->server();
    counts_.served += server.num_taken();
    counts_.served_bytes += server.taken_bytes();
    counts_.fallen_back += server.num_refused();
    if (went_as_planned) note_success(!server.has_differed() && !has_new_mapping_);
    is_serving_ = false;
  } else if (trace_ != nullptr) {
    trace_->end_step(went_as_planned);
    if (trace_->is_complete()) learn();
  }
}

void StepArena::learn() {
  learned_ = std::move(trace_);
  const StepTrace step = learned_->trace();
  follow_plan(plan_addresses(step, kAlignment, {.work_limit = kPackingWork}), step);
  has_overlaps_ = step.has_overlaps();
  has_tried_all_ = false;
  is_followed_ = true;
  ++num_learned_;
  num_failures_ = -1;  // the first step that it serves needs memory first
}

void StepArena::plan_two_steps(Bytes limit) {
  const StepTrace step = learned_->trace();
  follow_plan(plan_addresses_of_two(step, kAlignment, {.work_limit = kPackingWork}), step);
  has_overlaps_ = false;
  const Bytes missing = excess(limit);
  if (missing <= 0) return;
  mirror_second_step(*plan_, step, plan_->height() - missing, {.work_limit = kHardPackingWork});
}

// The trace's step may have begun with more or less than the one that begins.
void StepArena::leave_out(Bytes limit) {
  has_tried_all_ = true;
  const StepTrace step = learned_->trace();
  const Bytes room = limit - (StepAllocator::instance().live_bytes() - step.live_bytes[0]);
  auto plan = plan_addresses_within(step, kAlignment, room, {.work_limit = kHardPackingWork});
  if (plan) follow_plan(std::move(*plan), step);
}

void StepArena::follow_plan(AddressPlan plan, const StepTrace& step) {
  plan_ = std::make_unique<AddressPlan>(std::move(plan));
  outside_growth_ = growth_outside(step, *plan_);
  arena_.reset();
  has_new_mapping_ = true;
}

void StepArena::note_success(bool is_success) {
  num_failures_ = is_success ? 0 : num_failures_ + 1;
  if (num_failures_ < kMostFailures) return;
  arena_.reset();
  plan_.reset();
  learned_.reset();
  if (num_learned_ == kMostLearned) why_not_ = "the step allocates differently every time";
}

void StepArena::give_back_pages() {
  if (arena_ != nullptr) arena_->give_back_pages();
}

void StepArena::close() {
  arena_.reset();
  trace_.reset();
  learned_.reset();
}

}  // namespace tidemark
