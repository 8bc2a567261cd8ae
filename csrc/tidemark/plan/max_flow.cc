#include "tidemark/plan/max_flow.h"

#include <algorithm>

namespace tidemark {

void MaxFlow::add_edge(int from, int to, Capacity capacity) {
  edges_.push_back({to, first_edge_[from], capacity});
  first_edge_[from] = static_cast<int>(edges_.size()) - 1;
  edges_.push_back({from, first_edge_[to], 0});
  first_edge_[to] = static_cast<int>(edges_.size()) - 1;
}

// Breadth first from the source. Returns whether the sink can still be reached.
bool MaxFlow::find_levels(int source, int sink) {
  level_.assign(first_edge_.size(), -1);
  level_[source] = 0;
  std::vector<int> queue{source};
  for (std::size_t i = 0; i < queue.size(); ++i)
    for (int e = first_edge_[queue[i]]; e != kNoEdge; e = edges_[e].next) {
      if (edges_[e].left == 0 || level_[edges_[e].to] >= 0) continue;
      level_[edges_[e].to] = level_[queue[i]] + 1;
      queue.push_back(edges_[e].to);
    }
  return level_[sink] >= 0;
}

// Pushes along one path of rising levels; returns 0 when there is none left. Not recursive: a path
// is as long as the step is deep.
MaxFlow::Capacity MaxFlow::push(int source, int sink) {
  path_.clear();
  int node = source;
  while (node != sink) {
    int& e = next_edge_[node];
    while (e != kNoEdge && (edges_[e].left == 0 || level_[edges_[e].to] != level_[node] + 1))
      e = edges_[e].next;
    if (e != kNoEdge) {
      path_.push_back(e);
      node = edges_[e].to;
      continue;
    }
    if (path_.empty()) return 0;
    // A dead end: go back and try the next edge.
    node = edges_[path_.back() ^ 1].to;
    next_edge_[node] = edges_[next_edge_[node]].next;
    path_.pop_back();
  }
  Capacity flow = kInfinite;
  for (int e : path_) flow = std::min(flow, edges_[e].left);
  for (int e : path_) {
    edges_[e].left -= flow;
    edges_[e ^ 1].left += flow;
  }
  return flow;
}

MaxFlow::Capacity MaxFlow::run(int source, int sink) {
  Capacity total = 0;
  while (total < kInfinite && find_levels(source, sink)) {
    next_edge_ = first_edge_;
    for (Capacity flow = push(source, sink); flow > 0; flow = push(source, sink)) total += flow;
  }
  return std::min(total, kInfinite);
}

}  // namespace tidemark
