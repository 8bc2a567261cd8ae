// MaxFlow: the minimum cut of a directed graph with integer capacities (Dinic 1970).
//
// Nodes are numbered from 0; build, run once, ask for sides. Part of the planners.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "tidemark/base/export.h"

namespace tidemark {

class TIDEMARK_API MaxFlow {
 public:
  using Capacity = std::int64_t;
  static constexpr Capacity kInfinite = std::numeric_limits<Capacity>::max() / 4;

  explicit MaxFlow(int num_nodes) : first_edge_(num_nodes, kNoEdge) {}

  // Adds an edge. REQUIRES: 0 <= capacity <= kInfinite; run() has not been called.
  void add_edge(int from, int to, Capacity capacity);

  // Returns the value of the minimum cut between the two nodes.
  Capacity run(int source, int sink);

  // Returns whether `node` is on the source's side of the minimum cut with the fewest nodes there.
  // REQUIRES: run() has returned.
  bool is_on_source_side(int node) const { return level_[node] >= 0; }

 private:
  static constexpr int kNoEdge = -1;
  struct Edge {
    int to;
    int next;  // of the same node
    Capacity left;
  };

  bool find_levels(int source, int sink);
  Capacity push(int source, int sink);

  std::vector<int> first_edge_;
  std::vector<Edge> edges_;  // an edge and its reverse are neighbours
  std::vector<int> level_;
  std::vector<int> next_edge_;
  std::vector<int> path_;  // edges from the source on
};

}  // namespace tidemark
