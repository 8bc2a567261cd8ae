// WriteCheck: finds writes that no op announces, through numpy or DLPack views or raw pointers.
//
// A replay is exact as long as memory changes by ops that say so. With this check on, the bytes of
// every storage are summed up when an op has made, written or first read them, and compared when an
// op reads them again and when backward is served, whether kept or computed again. It finds a write
// at the next use of what was written, and names that op and the one before it. Every op then costs
// a pass over its tensors: this is for looking for mistakes, not for training.
//
// Memory that was never initialised by an op, or that ops of other libraries write, is not checked:
// nothing that reads it is ever computed again.
//
// Not thread-safe; belongs to one step.
#pragma once

#include <c10/core/Storage.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tidemark/runtime/tape.h"

namespace tidemark {

// Memory has changed, and no op said so. The text names the op that met it and the op before.
class TIDEMARK_API UnseenWrite : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class WriteCheck {
 public:
  explicit WriteCheck(Tape& tape) : tape_(tape) {}

  // `op` is about to run, `place` says where in the program. Throws UnseenWrite.
  void before_op(const OpFacts& op, at::ArrayRef<c10::IValue> args, std::string_view place);
  // `op` has run, and the tape knows what it has written.
  void after_op(const OpFacts& op, at::ArrayRef<c10::IValue> returns);
  // Backward is about to get `key`, which lies in `storage`. Throws UnseenWrite.
  void before_serving(ValueKey key, const c10::Storage& storage, bool is_computed_again);

 private:
  struct Sum {
    std::uint64_t bytes;        // a hash of them
    std::string_view op;        // which left them so
    bool is_only_read = false;  // by it: who wrote them is not known
  };
  void note(const at::Tensor& tensor, std::string_view op, bool is_only_read);

  Tape& tape_;
  std::unordered_map<ValueKey, Sum, ValueKeyHash> sums_;
  std::vector<at::Tensor> written_;  // by the op that runs
};

}  // namespace tidemark
