// checkpoint: runs a function and keeps nothing inside it for backward; backward runs it again.
//
//   at::Tensor y = tidemark::checkpoint([&](at::Tensor x) { return block->forward(x); }, x);
//
// Kept are the arguments, what the function captured, and what it returns. When backward first
// needs something from inside, the function runs again on the same arguments, as far as needed, and
// what it saves is served. Gradients are bitwise those without checkpoint: grad mode, autocast, the
// default generators of the CPU and of the arguments' devices, and every generator among the
// arguments are put back to what they were, and afterwards to what they are now.
//
// The function must do the same both times. What it saves is compared in number, sizes, dtype and
// device (ReplayMismatch); values are not. Its side effects happen twice: a batch norm in training
// mode updates its running statistics in each run, as with torch.utils.checkpoint. It is stopped by
// an exception as soon as backward has what it needs, so its tail may run only once.
//
// Calls nest, and the outer call then also drops the inner one's arguments. Inside the step of a
// MemoryBudget what lies in the function is not the plan's to keep: the second run is ops of
// backward to it, and the arguments are saved tensors like others.
//
// THREADS: any; backward may run on another one. Nothing here needs Python.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Type.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "tidemark/base/export.h"
#include "tidemark/runtime/debug.h"
#include "tidemark/runtime/replay_mismatch.h"
#include "tidemark/runtime/saved_tensors.h"

namespace tidemark {
namespace internal {

// What a checkpointed call needs to run again.
struct CheckpointedCall {
  std::string name;  // of the function, for errors
  std::vector<at::Tensor> tensors;
  std::vector<at::Generator> generators;
  // Runs the function on the tensors, which are the call's in the same order.
  std::function<void(std::vector<at::Tensor>)> run;
  // Throws what a mismatch is in the caller's language.
  std::function<void(const std::string&)> throw_mismatch = [](const std::string& text) {
    throw ReplayMismatch(text);
  };
};

class CheckpointRegion;

// While one lives, what this thread's autograd saves belongs to the call.
class TIDEMARK_API CheckpointScope {
 public:
  // Throws c10::Error where saved-tensor hooks are disabled (under torch.func, say).
  explicit CheckpointScope(CheckpointedCall call);
  ~CheckpointScope();
  CheckpointScope(const CheckpointScope&) = delete;
  CheckpointScope& operator=(const CheckpointScope&) = delete;

 private:
  std::shared_ptr<CheckpointRegion> region_;
  SavedTensorScope hooks_;
};

// The tensors that an argument holds. Arguments of other types hold none and are copied.
inline void find_tensors(at::Tensor& arg, std::vector<at::Tensor*>& found) {
  found.push_back(&arg);
}
inline void find_tensors(std::optional<at::Tensor>& arg, std::vector<at::Tensor*>& found) {
  if (arg) found.push_back(&*arg);
}
inline void find_tensors(std::vector<at::Tensor>& arg, std::vector<at::Tensor*>& found) {
  for (at::Tensor& tensor : arg) found.push_back(&tensor);
}
template <typename Arg>
void find_tensors(Arg&, std::vector<at::Tensor*>&) {}

template <typename... Args>
std::vector<at::Tensor*> tensors_of(std::tuple<Args...>& args) {
  std::vector<at::Tensor*> found;
  std::apply([&](Args&... arg) { (find_tensors(arg, found), ...); }, args);
  return found;
}

template <typename Arg>
void find_generators(const Arg& arg, std::vector<at::Generator>& found) {
  if constexpr (std::is_same_v<Arg, at::Generator>) {
    found.push_back(arg);
  } else if constexpr (std::is_same_v<Arg, std::optional<at::Generator>>) {
    if (arg) found.push_back(*arg);
  }
}

template <typename Fn, typename... Args>
CheckpointedCall make_call(Fn fn, std::tuple<Args...> args) {
  CheckpointedCall call;
  call.name = c10::demangle_type<Fn>();
  std::apply([&](Args&... arg) { (find_generators(arg, call.generators), ...); }, args);
  for (at::Tensor* tensor : tensors_of(args)) call.tensors.push_back(std::move(*tensor));
  call.run = [fn = std::move(fn), args = std::move(args)](std::vector<at::Tensor> tensors) mutable {
    std::tuple<Args...> again = args;
    std::size_t i = 0;
    for (at::Tensor* tensor : tensors_of(again)) *tensor = std::move(tensors[i++]);
    std::apply(fn, again);
  };
  return call;
}

}  // namespace internal

// Returns fn(args...), having kept nothing that autograd saved in it.
//
// `fn` and the arguments are copied, and given as lvalues. Tensors among the arguments, also in
// std::optional and std::vector, are watched: writing them in place between forward and backward is
// autograd's usual error. Tensors that `fn` captured are not, and must not be written meanwhile.
// Without grad mode, and while debugging (debug.h), this is a plain call.
//
// Throws what `fn` throws; in backward also ReplayMismatch.
// REQUIRES: fn does the same when it is called again, and is safe to leave by an exception.
template <typename Fn, typename... Args>
std::invoke_result_t<Fn&, Args&...> checkpoint(Fn fn, Args... args) {
  if (!at::GradMode::is_enabled() || is_debugging()) return std::invoke(fn, args...);
  internal::CheckpointScope scope(internal::make_call(fn, std::tuple<Args...>(args...)));
  return std::invoke(fn, args...);
}

}  // namespace tidemark
