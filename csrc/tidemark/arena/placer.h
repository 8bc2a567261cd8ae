// Placer: from an order of items to their offsets, one after the other, each where it fits among
// those placed before. The work horse: every heuristic here is an order for it.
//
// The items placed so far lie in lists sorted by address, one list per window of time. Windows of
// several widths, shifted by half, cover time so that every lifetime lies inside a window at most
// four times its length (or a finest one): a short life is compared with what lives near it, not
// with everything. An item is entered into every window it touches.
//
// Internal to this folder. Keeps its memory between runs. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "tidemark/arena/effort.h"
#include "tidemark/arena/partition.h"

namespace tidemark::arena {

enum class Fit : std::uint8_t {
  kFirst,  // the lowest gap that is large enough
  kBest,   // the smallest one, and the lowest of those; above everything only if there is none
};

class TIDEMARK_API Placer {
 public:
  // REQUIRES: the references outlive this.
  Placer(const Partition& partition, Effort& effort);
  ~Placer();
  Placer(const Placer&) = delete;
  Placer& operator=(const Placer&) = delete;

  // Returns where the items come to lie, placed in this order, or nothing as soon as one would end
  // at `cut` or above or the effort is over. Every placed item looked at is a step of it. `order`
  // names every item once.
  std::optional<Placement> place(std::span<const std::int32_t> order, Fit fit, Bytes cut);

 private:
  class AddressList;
  struct Level;

  AddressList& window_of(const Item& item);
  void enter(std::int32_t begin, std::int32_t end, Bytes low, Bytes high);
  void reset();

  const Partition& partition_;
  Effort& effort_;
  std::vector<Level> levels_;
};

// As Placer's, however long it takes; adds the steps that it took to `work`.
TIDEMARK_API Placement place_all(const Partition& partition, std::span<const std::int32_t> order,
                                 Fit fit, std::int64_t& work);

}  // namespace tidemark::arena
