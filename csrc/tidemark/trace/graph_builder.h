// GraphBuilder: numbers blocks and values of a finished recording and writes the StepGraph.
#pragma once

#include <unordered_map>
#include <vector>

#include "tidemark/graph/graph.h"
#include "tidemark/trace/recorder.h"

namespace tidemark {

class GraphBuilder {
 public:
  explicit GraphBuilder(Recorder& recorder);
  StepGraph build();

 private:
  // A block of the graph: a storage on the tape, or an allocation that no op touched.
  struct Block {
    std::int32_t tape_block = kNone;
    AllocationId allocation = kNoAllocation;
    Bytes bytes = 0;
    EventIndex birth = kNone;  // kNone: before the step
    EventIndex death = 0;      // num_events: lives to the end or beyond
    bool is_persistent = false;
    bool is_polled = false;
    std::vector<ValueIndex> versions;
  };

  void number_blocks();
  std::int32_t add_block(std::int32_t tape_block, AllocationId allocation);
  void find_lifetime(Block& block);
  void add_values(std::int32_t index);
  EventIndex producer(const Block& block, std::int32_t version) const;
  void add_holds(const Block& block);
  void add_handles();
  void fill_events();
  void pin_filled_unseen();
  void add_hidden_results();
  void fill_categories();
  Category category_of(const Block& block) const;
  void fill_scopes();
  void fill_entry();
  ValueIndex value_of(ValueKey key) const;
  std::vector<Interval> closed_holds(std::int32_t tape_block) const;

  Recorder& recorder_;
  StepGraph graph_;
  std::vector<Block> blocks_;
  std::unordered_map<std::int32_t, std::int32_t> by_tape_block_;
  std::unordered_map<AllocationId, std::int32_t> by_allocation_;
};

}  // namespace tidemark
