// BudgetExceeded: an allocation of a watched step would pass the budget and nothing can be given
// back. Thrown before memory is taken; to the program it is an out-of-memory error.
#pragma once

#include <c10/util/Exception.h>

#include <string>

#include "tidemark/base/bytes.h"

namespace tidemark {

struct TIDEMARK_API BudgetExceededInfo {
  Bytes budget_bytes = 0;
  Bytes missing_bytes = 0;  // how far above the budget the allocation would have gone
  Bytes requested_bytes = 0;
  std::string op;  // the op that asked, "" outside ops
  bool optimizer_had_begun = false;

  std::string text() const;
};

class TIDEMARK_API BudgetExceeded : public c10::OutOfMemoryError {
 public:
  explicit BudgetExceeded(BudgetExceededInfo why);
  const BudgetExceededInfo& info() const noexcept { return info_; }

 private:
  BudgetExceededInfo info_;
};

}  // namespace tidemark
