// pack: from buffers with lifetimes to offsets in the lowest arena found, or to the reason why they
// do not fit.
//
//   Packing packing = pack(instance);                            // as low as can be found
//   Packing packing = pack(instance, {.capacity = mib(64)});     // stops as soon as it fits
//   if (packing.status == PackStatus::kInfeasible) explain(packing.misfit);
//
// What is tried, in this order: the cases that need no search (nothing overlaps, all sizes equal),
// a portfolio of orders, exact search on small instances, random orders and exact search in the
// windows around the peak on large ones. It ends when the lower bound is met, when nothing lower is
// possible, or with its limits; it never ends above what a caching allocator does (best fit in
// order of allocation). Every layout has passed validate_layout.h before it is returned.
//
// Deterministic: the order of an instance's rows changes nothing (equal rows with equal names may
// swap their offsets), and the same instance and options give the same layout unless the clock or
// `cancel` ended the search. Pure function: may be called from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "tidemark/arena/instance.h"
#include "tidemark/arena/layout.h"
#include "tidemark/base/export.h"

namespace tidemark {

struct PackOptions {
  // Decide instead of minimise: is there a layout of at most this height?
  std::optional<Bytes> capacity;
  // Seconds after which the search stops, at the latest.
  double time_limit_s = 10;
  // Elementary steps (a few nanoseconds each) after which it stops. Without: 200 million per second
  // of time limit, which a machine of today does in less, so that the clock seldom decides.
  std::optional<std::int64_t> work_limit;
  // Asked every few milliseconds; the search stops when it says true.
  std::function<bool()> cancel;
};

enum class PackStatus : std::uint8_t {
  kOptimal,     // no layout is lower (capacity or not)
  kFeasible,    // fits the capacity, or none was given; a lower layout may exist
  kInfeasible,  // proven: no layout fits the capacity (or the fixed offsets); misfit says why
  kTimeOut,     // a limit came first: the layout is the best found, above the capacity
};

TIDEMARK_API std::string_view to_string(PackStatus status) noexcept;

struct Packing {
  PackStatus status = PackStatus::kTimeOut;
  Layout layout;          // valid, unless fixed offsets contradict each other: then empty
  Bytes lower_bound = 0;  // no layout is lower
  // If infeasible: rows that cannot be placed together, each of them needed for that. Not always
  // minimal where proving took longer than the limits: then is_irreducible is false.
  std::vector<std::int32_t> misfit;
  bool is_irreducible = false;
  std::int64_t work = 0;  // elementary steps spent
  bool operator==(const Packing&) const = default;

  // Returns how far the height is above the lower bound, as a share of it.
  TIDEMARK_API double gap() const noexcept;
};

// Throws std::invalid_argument if check(instance) does, or if a limit or capacity is negative.
TIDEMARK_API Packing pack(const Instance& instance, const PackOptions& options = {});

}  // namespace tidemark
