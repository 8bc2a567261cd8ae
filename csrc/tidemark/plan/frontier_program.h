// The frontier program: where to cut a step so that its second half runs back through its first.
//
// Next to the floor a plan has the shape of Griewank and Walther's revolve: what is needed to go on
// from a moment, its frontier, is stored at some moments of the first part of the step (up to the
// unplanned peak); the second part wants the values of the first in roughly reverse order, chunk by
// chunk, and before each chunk what it wants is computed again from the nearest frontier. This is
// Beaumont et al.'s program for heterogeneous chains (rotor) on the moments of any graph:
//
//   C(i, j, m) = min( base(i, j) if it fits m,
//                     min over i < k < j: advance(i, k) + C(k, j, m - w_i) + C(i, k, m) )
//
// runs the chunks j .. i + 1 with the frontier i of w_i bytes stored; T(i, m) is the same for the
// first sweep, whose ops cost nothing. Bytes are counted roughly and in 240 units: the schedule is
// a skeleton that repair.h makes fit. Nothing knows of "backward": the second part is whatever
// follows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "tidemark/base/bytes.h"
#include "tidemark/base/export.h"
#include "tidemark/plan/emit.h"
#include "tidemark/plan/problem.h"

namespace tidemark {

class TIDEMARK_API FrontierProgram {
 public:
  // Divides the first part of the step into at most so many windows, in each of which the narrowest
  // moment is one to cut at. The problem must outlive this.
  // O(windows^2 * ops) time.
  FrontierProgram(const Problem& problem, int windows);

  // Returns a schedule meant to take `bytes`, or nothing if the program has none. It may take more
  // and may run ops that need not be. O(windows^3) time.
  std::optional<Schedule> schedule(Bytes bytes) const;

  // Returns what lies in memory at every event whatever a schedule says.
  Bytes fixed_bytes() const noexcept { return fixed_bytes_; }

  // Returns what schedule() takes, in steps as Residency::work() counts them.
  std::int64_t work() const;

 private:
  // What some ops cost if they run in one list, and the most that they add meanwhile.
  struct Replays {
    std::vector<EventIndex> ops;  // ascending
    Nanoseconds cost_ns = 0;
    Bytes peak_bytes = 0;
  };
  // A part of the program that does not depend on the budget: from frontier i to moment k, or the
  // chunks k .. i + 1 from frontier i.
  struct Part {
    Nanoseconds cost_ns = 0;
    Bytes peak_bytes = 0;
  };
  struct Table;

  void find_movables();
  void find_uses();
  void find_moments(int windows);
  void find_frontiers();
  void find_chunks();
  void find_curves();
  void find_parts();
  int num_moments() const { return static_cast<int>(moments_.size()) - 1; }
  std::vector<ValueIndex> wanted(int from, int to) const;
  Replays replays(const std::vector<ValueIndex>& targets, EventIndex after) const;
  Bytes first_sweep_bytes(int from, int to, bool is_kept) const;
  Part base_of(int from, int to) const;
  const Part& part(const std::vector<Part>& parts, int i, int k) const {
    return parts[static_cast<std::size_t>(i) * moments_.size() + static_cast<std::size_t>(k)];
  }
  std::optional<Schedule> finish(std::map<EventIndex, std::set<EventIndex>> lists) const;

  const Problem& problem_;
  const StepGraph& graph_;
  EventIndex peak_;
  std::vector<char> is_movable_;  // per value: whether it lies in memory or not as a plan wants
  std::vector<EventIndex> last_first_use_;         // per value: in the first part, or kNone
  std::vector<EventIndex> moments_;                // p_0 = -1 < p_1 < .. < p_n = peak
  std::vector<std::vector<ValueIndex>> frontier_;  // per moment
  std::vector<Bytes> width_;                       // per moment
  std::vector<std::vector<ValueIndex>> wants_;     // per event of the second part
  std::vector<EventIndex> start_;  // per moment: where the chunk that ends there begins
  std::vector<Bytes> beside_;      // per event: with nothing of the first part stored
  Bytes fixed_bytes_ = 0;
  std::vector<Part> advance_;
  std::vector<Part> sweep_;
  std::vector<Part> base_;
};

}  // namespace tidemark
