// Result<T, E>: a value, or the reason why there is none.
//
// For answers in which "no" is normal and has content (no plan fits this budget; the least that
// does is ...). Callers' mistakes are exceptions instead: see error.h. Asking for the side that is
// not there is a bug of the asker and throws std::logic_error.
//
//   Result<Plan, Infeasible> answer = plan(graph, budget);
//   if (!answer) return explain(answer.failure());
//   run(*answer);
//
// As safe to share between threads as T and E are.
#pragma once

#include <type_traits>
#include <utility>
#include <variant>

#include "tidemark/base/error.h"

namespace tidemark {

template <typename T, typename E>
class [[nodiscard]] Result {
  static_assert(!std::is_same_v<T, E>, "a value and a failure of one type cannot be told apart");

 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(E failure) : state_(std::move(failure)) {}  // NOLINT(google-explicit-constructor)

  // Returns whether there is a value.
  bool has_value() const noexcept { return std::holds_alternative<T>(state_); }
  explicit operator bool() const noexcept { return has_value(); }

  // REQUIRES: has_value().
  const T& value() const& { return get<T>(state_); }
  T& value() & { return get<T>(state_); }
  T&& value() && { return std::move(get<T>(state_)); }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }

  // REQUIRES: !has_value().
  const E& failure() const& { return get<E>(state_); }
  E& failure() & { return get<E>(state_); }
  E&& failure() && { return std::move(get<E>(state_)); }

  bool operator==(const Result&) const = default;

 private:
  template <typename Side, typename State>
  static auto& get(State& state) {
    auto* side = std::get_if<Side>(&state);
    TIDEMARK_ASSERT(side != nullptr, "the other side of this Result was asked for");
    return *side;
  }

  std::variant<T, E> state_;
};

}  // namespace tidemark
