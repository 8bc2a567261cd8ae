#include "tidemark/runtime/budget_exceeded.h"

namespace tidemark {

std::string BudgetExceededInfo::text() const {
  std::string text = "budget of " + format_bytes(budget_bytes) + " (" +
                     std::to_string(budget_bytes) + " B) exceeded by " +
                     format_bytes(missing_bytes) + " (" + std::to_string(missing_bytes) +
                     " B): " + (op.empty() ? "the program" : op) + " asked for " +
                     format_bytes(requested_bytes) + " and nothing is left to give back";
  text += optimizer_had_begun
              ? "; the optimizer had begun to write: parameters may be partly updated"
              : "; parameters and optimizer state are as they were before the step";
  return text + ". Raise the budget, or plan from a step recorded under a larger one.";
}

BudgetExceeded::BudgetExceeded(BudgetExceededInfo why)
    : c10::OutOfMemoryError({__func__, __FILE__, static_cast<std::uint32_t>(__LINE__)}, why.text()),
      info_(std::move(why)) {}

}  // namespace tidemark
