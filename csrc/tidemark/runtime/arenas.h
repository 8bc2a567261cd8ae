// Arenas: the arenas of a budget, one per form of the step. Only that of the form that runs holds
// memory in which nothing lives.
//
// A step that is not expected to be of a known form is served by none.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/runtime/plan_script.h"
#include "tidemark/runtime/step_arena.h"

namespace tidemark {

// Whether steps are served from an arena.
enum class ArenaUse {
  // Unless somebody has put an allocator of their own below ours: they want to see blocks. A plan
  // that leaves no room for the arena is made anew, if that is hardly slower.
  kAuto,
  kOn,  // always; the plan is made anew however much slower that is
  kOff,
  kPoison,  // on, and freed memory is overwritten: a debugging aid. Allocators below see all blocks
};

class TIDEMARK_API Arenas {
 public:
  explicit Arenas(ArenaUse use) : use_(use) {}
  Arenas(const Arenas&) = delete;
  Arenas& operator=(const Arenas&) = delete;

  // Around a step. `script`: of the form it is expected to have, nullptr if it is not known.
  void begin_step(std::shared_ptr<const PlanScript> script, Bytes limit);
  // `script`: of the form that it had; nullptr if it did not go as planned to its end.
  void end_step(const PlanScript* script);
  // Gives everything back that nobody uses. What is known of it stays readable.
  void close();

  const ArenaCounts& counts() const noexcept { return counts_; }
  // Of the form that ran last; nullptr: there is none.
  const AddressPlan* plan() const noexcept {
    return newest_ != nullptr ? newest_->arena.plan() : nullptr;
  }
  // Bytes that the budget lacked for serving the last step, 0 if none.
  Bytes missing_bytes() const noexcept {
    return why_not_.empty() && newest_ != nullptr ? newest_->arena.missing_bytes() : 0;
  }
  // Why the last step was not served, "" if it was.
  std::string why_not() const;

 private:
  struct Form {
    std::shared_ptr<const PlanScript> script;
    StepArena arena;
  };
  bool may_serve() const;
  Form* form_of(std::shared_ptr<const PlanScript> script);

  ArenaUse use_;
  ArenaCounts counts_;
  std::vector<std::unique_ptr<Form>> forms_;
  Form* newest_ = nullptr;
  bool is_running_ = false;  // newest_ has a part in the step that runs
  std::string why_not_;      // where it is no form's reason
};

}  // namespace tidemark
