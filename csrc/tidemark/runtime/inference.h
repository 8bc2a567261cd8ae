// Inference: planned addresses for code that only runs forward.
//
//   tidemark::Inference serving;
//   for (auto& batch : *loader) {
//     auto call = serving.call();                 // RAII
//     show(model->forward(batch.data));
//   }
//
// The first two calls of a form show what it allocates; from the third on, what a call allocates
// and frees lies at planned addresses in one block of memory (step_arena.h). Calls are told apart
// by the bytes of their first allocation: another batch size is another form. What the program
// keeps of a call stays valid as long as it keeps it.
//
// While one is open the CPU allocator is Tidemark's, in front of the one it found.
//
// Not thread-safe; one call at a time in the process. Threads beside it are left alone.
#pragma once

#include <c10/core/Allocator.h>

#include <memory>
#include <string>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/runtime/step_allocator.h"
#include "tidemark/runtime/step_arena.h"

namespace tidemark {

struct InferenceOptions {
  // Give the memory back after every call, instead of keeping it for the next one.
  bool release = false;
  // Overwrite freed memory: a debugging aid.
  bool poison = false;
};

class TIDEMARK_API Inference final : private StepObserver, private c10::Allocator {
 public:
  explicit Inference(InferenceOptions options = {});
  ~Inference() override;
  Inference(const Inference&) = delete;
  Inference& operator=(const Inference&) = delete;

  // A call, from construction to destruction.
  class Scope {
   public:
    explicit Scope(Inference& serving);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Inference& serving_;
    int num_exceptions_;
  };
  [[nodiscard]] Scope call() { return Scope(*this); }

  // The two halves of a call. enter throws std::logic_error in a call, in a step and after close.
  // leave(true): an exception leaves the call.
  void enter();
  void leave(bool aborted);

  // Gives memory and allocator back; further calls throw. Also done by the destructor.
  void close();

  const ArenaCounts& counts() const noexcept { return counts_; }
  // Why the last call was not served, "" if it was.
  std::string why_not() const;
  // Of the form called last; nullptr: there is none.
  const AddressPlan* plan() const noexcept;

 private:
  struct Form {
    Bytes first_bytes;
    StepArena arena;
  };

  // The first allocation of a call says where the others come from.
  c10::DataPtr allocate(std::size_t bytes) override;
  void copy_data(void* dest, const void* src, std::size_t count) const override;
  void before_allocate(Bytes) override {}
  void after_allocate(AllocationId, Bytes) override {}
  void after_free(AllocationId, Bytes) noexcept override {}
  Form& form_of(Bytes first_bytes);

  InferenceOptions options_;
  ArenaCounts counts_;
  std::vector<std::unique_ptr<Form>> forms_;  // most recently called first
  bool is_open_ = true;
  bool is_in_call_ = false;
  bool has_begun_ = false;  // forms_.front() is that of the call
};

}  // namespace tidemark
