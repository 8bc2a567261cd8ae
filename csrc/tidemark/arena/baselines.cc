#include "tidemark/arena/baselines.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <vector>

#include "tidemark/arena/bounds.h"
#include "tidemark/arena/partition.h"
#include "tidemark/arena/placer.h"
#include "tidemark/base/error.h"

namespace tidemark {
namespace {

using arena::Fit;
using arena::Item;
using arena::Partition;
using arena::Placement;
using Order = std::vector<std::int32_t>;

// All buffers as items, by row; every distinct time is a section.
Partition all_in_one(const Instance& instance) {
  std::vector<Time> times;
  for (const Buffer& buffer : instance.buffers) {
    TIDEMARK_CHECK_VALUE(!buffer.offset && buffer.alignment == 1 && !instance.block_limit &&
                             instance.forbidden.empty(),
                         "the published planners know neither fixed offsets nor forbidden ranges, "
                         "block limits or alignments of single buffers");
    times.push_back(buffer.begin);
    times.push_back(buffer.end);
  }
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  const auto section = [&](Time time) {
    return static_cast<std::int32_t>(std::lower_bound(times.begin(), times.end(), time) -
                                     times.begin());
  };
  Partition all;
  all.num_sections = static_cast<std::int32_t>(times.size());
  for (std::size_t row = 0; row < instance.buffers.size(); ++row) {
    const Buffer& buffer = instance.buffers[row];
    all.items.push_back({.begin = section(buffer.begin),
                         .end = section(buffer.end),
                         .size = padded_size(instance, buffer),
                         .width = buffer.end - buffer.begin,
                         .row = static_cast<std::int32_t>(row)});
  }
  all.load = arena::section_loads(all);
  return all;
}

Placement place(const Partition& all, const Order& order, Fit fit) {
  std::int64_t work = 0;
  return arena::place_all(all, order, fit, work);
}

// The rows by rising key, ties by row.
template <typename KeyOf>
Order by(const Partition& all, KeyOf key_of) {
  Order order(all.items.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return key_of(all.items[a]) < key_of(all.items[b]);
  });
  return order;
}

Order by_start(const Partition& all) {
  return by(all, [](const Item& item) { return item.begin; });
}

Order by_start_and_end(const Partition& all) {
  return by(all, [](const Item& item) { return std::tuple(item.begin, item.end); });
}

Order tflite_by_size(const Partition& all) {
  return by(all, [&](const Item& item) {
    const bool is_whole = item.begin == 0 && item.end == all.num_sections - 1;
    return is_whole ? std::tuple(0, Bytes{0}, 0) : std::tuple(1, -item.size, item.begin);
  });
}

// Ops are taken by falling breadth, and a tensor belongs to the first op taken at which it lives.
Order tflite_by_breadth(const Partition& all) {
  Order ops(all.load.size());
  std::iota(ops.begin(), ops.end(), 0);
  std::stable_sort(ops.begin(), ops.end(),
                   [&](std::int32_t a, std::int32_t b) { return all.load[a] > all.load[b]; });
  Partition ranked = all;  // contention() then finds the first op taken in each life
  for (std::size_t rank = 0; rank < ops.size(); ++rank) {
    ranked.load[ops[rank]] = -static_cast<Bytes>(rank);
  }
  const std::vector<Bytes> first = arena::contention(ranked);
  return by(all, [&](const Item& item) { return std::tuple(-first[item.row], -item.size); });
}

Order xla_by_size(const Partition& all) {
  return by(all, [](const Item& item) { return std::tuple(-item.size, -item.width); });
}

// Whole blocks that grow to their largest tenant, one above the other.
class MxnetPool {
 public:
  std::size_t request(Bytes size) {
    constexpr Bytes kRange = 16;
    const auto middle = free_.lower_bound(size);
    if (middle != free_.end() && middle->first <= size * kRange) return take(middle, size);
    if (middle != free_.begin() && std::prev(middle)->first >= size / kRange) {
      return take(std::prev(middle), size);
    }
    blocks_.push_back(size);
    return blocks_.size() - 1;
  }

  void release(std::size_t block) { free_.emplace(blocks_[block], block); }
  const std::vector<Bytes>& blocks() const { return blocks_; }

 private:
  std::size_t take(std::multimap<Bytes, std::size_t>::iterator it, Bytes size) {
    const std::size_t block = it->second;
    free_.erase(it);
    blocks_[block] = std::max(blocks_[block], size);
    return block;
  }

  std::vector<Bytes> blocks_;
  std::multimap<Bytes, std::size_t> free_;
};

Placement mxnet(const Partition& all) {
  MxnetPool pool;
  const Order ends = by(all, [](const Item& item) { return item.end; });
  std::vector<std::size_t> block(all.items.size());
  std::size_t next_end = 0;
  for (const std::int32_t i : by_start(all)) {
    while (all.items[ends[next_end]].end <= all.items[i].begin)
      pool.release(block[ends[next_end++]]);
    block[i] = pool.request(all.items[i].size);
  }
  std::vector<Bytes> offset_of_block(pool.blocks().size() + 1, 0);
  std::partial_sum(pool.blocks().begin(), pool.blocks().end(), offset_of_block.begin() + 1);
  Placement placement;
  for (const std::size_t b : block) placement.offsets.push_back(offset_of_block[b]);
  return placement;
}

Placement nntrainer_v1(const Partition& all) {
  Placement placement{.offsets = std::vector<Bytes>(all.items.size(), 0)};
  Order stack;
  for (const std::int32_t i : by_start_and_end(all)) {
    const Item& item = all.items[i];
    while (!stack.empty() && all.items[stack.back()].end <= item.begin) stack.pop_back();
    const auto slot = std::find_if(stack.rbegin(), stack.rend(), [&](std::int32_t j) {
      return all.items[j].end <= item.begin && all.items[j].size == item.size;
    });
    if (slot != stack.rend()) {
      placement.offsets[i] = placement.offsets[*slot];
      *slot = i;
      continue;
    }
    if (!stack.empty()) {
      placement.offsets[i] = placement.offsets[stack.back()] + all.items[stack.back()].size;
    }
    stack.push_back(i);
  }
  return placement;
}

Placement run(Baseline baseline, const Partition& all) {
  switch (baseline) {
    case Baseline::kOnncFirstFit:
      return place(all, by_start(all), Fit::kFirst);
    case Baseline::kTfliteBySize:
      return place(all, tflite_by_size(all), Fit::kBest);
    case Baseline::kTfliteByBreadth:
      return place(all, tflite_by_breadth(all), Fit::kBest);
    case Baseline::kXlaBestFit:
      return place(all, xla_by_size(all), Fit::kBest);
    case Baseline::kMxnetSizeRange:
      return mxnet(all);
    case Baseline::kNntrainerV1:
      return nntrainer_v1(all);
    case Baseline::kNntrainerV3:
      return place(all, by_start_and_end(all), Fit::kFirst);
    case Baseline::kStartBestFit:
      return place(all, by_start(all), Fit::kBest);
  }
  return {};
}

}  // namespace

std::span<const Baseline> baselines() noexcept {
  using enum Baseline;
  static constexpr Baseline kAll[] = {kOnncFirstFit, kTfliteBySize,   kTfliteByBreadth,
                                      kXlaBestFit,   kMxnetSizeRange, kNntrainerV1,
                                      kNntrainerV3,  kStartBestFit};
  return kAll;
}

std::string_view to_string(Baseline baseline) noexcept {
  switch (baseline) {
    case Baseline::kOnncFirstFit:
      return "onnc_first_fit";
    case Baseline::kTfliteBySize:
      return "tflite_by_size";
    case Baseline::kTfliteByBreadth:
      return "tflite_by_breadth";
    case Baseline::kXlaBestFit:
      return "xla_best_fit";
    case Baseline::kMxnetSizeRange:
      return "mxnet_size_range";
    case Baseline::kNntrainerV1:
      return "nntrainer_v1";
    case Baseline::kNntrainerV3:
      return "nntrainer_v3";
    case Baseline::kStartBestFit:
      return "start_best_fit";
  }
  return "unknown";
}

Layout pack_as(Baseline baseline, const Instance& instance) {
  check(instance);
  const Partition all = all_in_one(instance);
  Layout layout{.offsets = run(baseline, all).offsets};
  for (std::size_t i = 0; i < layout.offsets.size(); ++i) {
    if (all.items[i].size == 0 || all.items[i].width == 0) continue;
    layout.height = std::max(layout.height, layout.offsets[i] + all.items[i].size);
  }
  return layout;
}

}  // namespace tidemark
