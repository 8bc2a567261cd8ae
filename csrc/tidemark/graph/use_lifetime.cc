#include "tidemark/graph/use_lifetime.h"

#include <algorithm>
#include <cstddef>

#include "tidemark/graph/lifetime.h"

namespace tidemark {
namespace {

class Walk {
 public:
  Walk(const StepGraph& graph, LoadStyle style)
      : graph_(graph), style_(style), is_made_(static_cast<std::size_t>(num_blocks(graph)), false) {
    result_.blocks.assign(is_made_.size(), {0, 0});
    for (const Value& value : graph.values) {
      if (value.producer != kNone) is_made_[value.block] = true;
    }
    for (const Value& value : graph.values) {  // a version that the step finds comes before others
      if (value.producer == kNone) is_made_[value.block] = false;
    }
  }

  UseLifetimes run() {
    if (style_ == LoadStyle::kFirst) load_all();
    for (const Event& event : graph_.events) {
      if (style_ == LoadStyle::kBeforeUse) {
        for (const ValueIndex v : event.inputs) load(v);
      }
      for (const ValueIndex v : event.inputs) touch(v);
      for (const ValueIndex v : event.values) touch(v);
      for (const ValueIndex v : event.outputs) touch(v);
      ++now_;
    }
    store();
    result_.num_times = now_;
    return std::move(result_);
  }

 private:
  bool is_known(ValueIndex v) const {
    return result_.blocks[graph_.values[v].block] != Interval{0, 0};
  }

  // The block lives at the present time and ever since it was first touched.
  void touch(ValueIndex v) {
    Interval& life = result_.blocks[graph_.values[v].block];
    if (!is_known(v)) life.begin = now_;
    life.end = now_ + 1;
  }

  void load(ValueIndex v) {
    if (is_made_[graph_.values[v].block] || is_known(v)) return;
    touch(v);
    ++now_;
  }

  void load_all() {
    std::vector<bool> is_read(graph_.values.size(), false);
    for (const Event& event : graph_.events) {
      for (const ValueIndex v : event.inputs) is_read[v] = true;
    }
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
      if (is_read[v]) load(v);
    }
  }

  void store() {
    const bool has_store = style_ != LoadStyle::kOpsOnly;
    for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
      const Value& value = graph_.values[v];
      if (!value.persistent || !is_known(v) || !is_made_[value.block]) continue;
      Interval& life = result_.blocks[value.block];
      life.end = std::max(life.end, has_store ? now_ + 1 : now_);
    }
    if (has_store) ++now_;
  }

  const StepGraph& graph_;
  LoadStyle style_;
  std::vector<bool> is_made_;  // by block: no op of the step found it there
  UseLifetimes result_;
  EventIndex now_ = 0;
};

}  // namespace

UseLifetimes use_lifetimes(const StepGraph& graph, LoadStyle style) {
  return Walk(graph, style).run();
}

}  // namespace tidemark
