#include "tidemark/runtime/arenas.h"

#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <utility>

#include "tidemark/runtime/step_allocator.h"

namespace tidemark {
namespace {

StepAllocator& allocator() { return StepAllocator::instance(); }

}  // namespace

bool Arenas::may_serve() const {
  if (use_ == ArenaUse::kAuto) return &allocator().under() == c10::GetDefaultCPUAllocator();
  return use_ != ArenaUse::kOff;
}

void Arenas::begin_step(std::shared_ptr<const PlanScript> script, Bytes limit) {
  why_not_ = use_ == ArenaUse::kOff ? "arenas are off"
             : !may_serve()         ? "another allocator than torch's is installed"
             : script == nullptr    ? "the form of the step is not known yet"
                                    : "";
  is_running_ = why_not_.empty();
  const bool goes_on = is_running_ && newest_ != nullptr && newest_->script == script;
  if (newest_ != nullptr && !goes_on) newest_->arena.give_back_pages();
  if (!is_running_) return;
  newest_ = form_of(std::move(script));
  allocator().set_step_memory(
      newest_->arena.begin_step({.is_debugging = use_ == ArenaUse::kPoison, .limit = limit}));
}

// Forms whose script nobody follows any more are forgotten.
Arenas::Form* Arenas::form_of(std::shared_ptr<const PlanScript> script) {
  std::erase_if(forms_, [&](const auto& form) {
    return form->script != script && form->script.use_count() == 1;
  });
  const auto known = std::find_if(forms_.begin(), forms_.end(),
                                  [&](const auto& form) { return form->script == script; });
  if (known != forms_.end()) return known->get();
  forms_.push_back(
      std::make_unique<Form>(Form{std::move(script), StepArena(allocator().under(), counts_)}));
  return forms_.back().get();
}

void Arenas::end_step(const PlanScript* script) {
  if (!is_running_) return;
  is_running_ = false;
  allocator().set_step_memory(nullptr);
  newest_->arena.end_step(script == newest_->script.get());
}

void Arenas::close() {
  for (const auto& form : forms_) form->arena.close();
}

std::string Arenas::why_not() const {
  return why_not_.empty() && newest_ != nullptr ? newest_->arena.why_not() : why_not_;
}

}  // namespace tidemark
