// PathBound: a lower bound that knows that one value may have to be computed again many times.
//
// Along a path v_1 -> .. -> v_n of values, each computed from the one before, everything off the
// path is given away for nothing: every plan of the step is then a schedule of this one chain,
// whose items take a slot of b bytes each, b being the least of their sizes. Slots are what the
// budget leaves besides what the program holds, and slot_chain.h has the cheapest schedule. So the
// ops of the path cost at least that much, whatever a plan does; bounds on paths without a common
// op add up, each with the whole budget. It is exact on uniform chains, where it is the optimum of
// Griewank and Walther 2000, and nothing where paths lie side by side: near the floor of deep and
// narrow steps it is what counts.
//
// A path goes through blocks: versions written in place count as one item, computed by the op that
// makes the first and wanted wherever the program holds any. What a replay may write over counts
// as part of what is written, and nobody else is taken to want it.
#pragma once

#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/problem.h"
#include "tidemark/plan/simulate.h"
#include "tidemark/plan/slot_chain.h"

namespace tidemark {

class TIDEMARK_API PathBound {
 public:
  // The problem must outlive this.
  explicit PathBound(const Problem& problem);

  struct Path {
    std::vector<EventIndex> ops;  // ascending
    Nanoseconds bound_ns = 0;  // on what they are computed again for; the largest: no plan exists
  };

  // Returns paths on which something must be computed again within `budget`, the dearest first, no
  // op on two of them. Looks only where the budget leaves few slots.
  std::vector<Path> paths(Bytes budget) const;

  // A time at which an item of a path must be there.
  struct Demand {
    EventIndex event = 0;
    int index = 0;
    int slots = 0;
  };

 private:
  using Blocks = std::vector<BlockIndex>;
  struct Room;
  void find_blocks();
  std::vector<Bytes> likely_sizes() const;
  std::vector<Blocks> paths_of(Bytes budget, Bytes slot_bytes) const;
  Blocks longest_path(Bytes slot_bytes, const std::vector<char>& is_charged) const;
  bool is_scarce(const Blocks& path, Bytes budget, Bytes slot_bytes) const;
  SlotChain chain_of(const Blocks& path, Bytes budget, Bytes slot_bytes) const;
  std::vector<Demand> demands_of(const Blocks& path, const Room& room) const;
  bool is_over(BlockIndex from, BlockIndex to) const;
  Bytes bytes_beside(EventIndex op, const Blocks& sorted_path) const;

  const Problem& problem_;
  const StepGraph& graph_;
  std::vector<Reading> pinned_;
  Bytes fixed_bytes_ = 0;                        // there all the time
  std::vector<char> is_fixed_;                   // per block
  std::vector<EventIndex> producer_;             // per block: of its first version, or kNone
  std::vector<Bytes> bytes_;                     // per block
  std::vector<std::vector<ValueIndex>> values_;  // per block: its versions
};

}  // namespace tidemark
