// Rivals: the schedules of the published policies that know no budget, as rivals of the core's.
//
// They are few, the same for all budgets, and made when first asked for; which of them fits is
// simulated once, and only for those whose cost could matter. With them in the race "auto" is never
// dearer than they are.
#pragma once

#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

// A policy whose schedules do not depend on a budget: the cheapest that fits is its answer.
struct ReadyPolicy {
  std::string_view name;
  std::vector<Schedule> (*make)(const Problem&);
  bool is_slow = false;  // makes tables: longer than the core's own search on middling steps
};

TIDEMARK_API std::span<const ReadyPolicy> ready_policies();

struct Rival {
  Schedule schedule;
  Nanoseconds cost_ns = 0;
  std::optional<Bytes> peak_bytes;  // once simulated
};

class TIDEMARK_API Rivals {
 public:
  // The problem must outlive this.
  explicit Rivals(const Problem& problem) : problem_(problem) {}

  // Which rivals are of interest.
  struct Question {
    Bytes budget = 0;
    Nanoseconds least_cost_ns = 0;  // none that costs less can fit
    Nanoseconds below_ns = std::numeric_limits<Nanoseconds>::max();
  };

  // Returns the cheapest schedule of the policy within the budget, or nothing. Valid as long as
  // this is.
  // REQUIRES: `policy` is one of ready_policies().
  const Rival* cheapest(const ReadyPolicy& policy, const Question& question);

 private:
  Bytes peak_of(Rival& rival) const;

  const Problem& problem_;
  std::map<std::string_view, std::vector<Rival>> rivals_;  // by policy, by rising cost
};

}  // namespace tidemark
