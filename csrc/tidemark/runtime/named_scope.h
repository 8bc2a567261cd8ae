// scope: names the part of the program that runs, as module paths do in Python.
//
//   {
//     auto named = tidemark::scope("encoder");  // until it goes out of scope; scopes nest
//     hidden = encoder->forward(x);
//   }
//
// Ops of watched steps carry the name in graphs, reports and errors; those of backward carry the
// one of their forward. It costs a string append, and changes nothing else.
//
// THREADS: each has names of its own.
#pragma once

#include <cstddef>
#include <string_view>

#include "tidemark/base/export.h"
#include "tidemark/runtime/step_watcher.h"

namespace tidemark {

class TIDEMARK_API NamedScope {
 public:
  explicit NamedScope(std::string_view name);
  ~NamedScope();
  NamedScope(const NamedScope&) = delete;
  NamedScope& operator=(const NamedScope&) = delete;

 private:
  std::size_t size_before_;
};

[[nodiscard]] inline NamedScope scope(std::string_view name) { return NamedScope(name); }

// Where this thread is by its names; without a source line.
Place named_place();

}  // namespace tidemark
