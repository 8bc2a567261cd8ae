#include "tidemark/arena/partition.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "tidemark/arena/bounds.h"

namespace tidemark::arena {
namespace {

auto sort_key(const Buffer& buffer) {
  return std::tie(buffer.begin, buffer.end, buffer.size, buffer.alignment, buffer.name);
}

bool takes_room(const Buffer& buffer) { return buffer.size > 0 && buffer.begin < buffer.end; }

// The rows that take room, in an order that does not depend on theirs.
std::vector<std::int32_t> canonical_rows(const Instance& instance) {
  std::vector<std::int32_t> rows;
  for (std::size_t i = 0; i < instance.buffers.size(); ++i) {
    if (takes_room(instance.buffers[i])) rows.push_back(static_cast<std::int32_t>(i));
  }
  std::stable_sort(rows.begin(), rows.end(), [&](std::int32_t a, std::int32_t b) {
    return sort_key(instance.buffers[a]) < sort_key(instance.buffers[b]);
  });
  return rows;
}

// Gives every row its sections and cuts partitions where nothing is live.
class Sweep {
 public:
  explicit Sweep(const Instance& instance)
      : instance_(instance), sections_(instance.buffers.size()) {}

  std::vector<Partition> run(const std::vector<std::int32_t>& rows) {
    std::vector<std::int32_t> by_end = rows;
    std::stable_sort(by_end.begin(), by_end.end(), [&](std::int32_t a, std::int32_t b) {
      return instance_.buffers[a].end < instance_.buffers[b].end;
    });
    std::size_t next_end = 0;
    for (const std::int32_t row : rows) {
      while (instance_.buffers[by_end[next_end]].end <= instance_.buffers[row].begin) {
        finish(by_end[next_end++]);
      }
      start(row);
    }
    while (next_end < by_end.size()) finish(by_end[next_end++]);
    return std::move(parts_);
  }

 private:
  void start(std::int32_t row) {
    members_.push_back(row);
    ++num_live_;
    sections_[row].first = section_;
    has_started_ = true;
  }

  // A section ends where something ends after something else has begun.
  void finish(std::int32_t row) {
    if (has_started_) ++section_;
    has_started_ = false;
    sections_[row].second = section_;
    if (--num_live_ == 0) close();
  }

  void close() {
    Partition part;
    part.num_sections = section_;
    part.begin_time = part.end_time = instance_.buffers[members_.front()].begin;
    for (const std::int32_t row : members_) {
      part.end_time = std::max(part.end_time, instance_.buffers[row].end);
      add(part, row);
    }
    parts_.push_back(std::move(part));
    members_.clear();
    section_ = 0;
  }

  void add(Partition& part, std::int32_t row) const {
    const Buffer& buffer = instance_.buffers[row];
    const auto [begin, end] = sections_[row];
    const Bytes size = padded_size(instance_, buffer);
    if (buffer.offset) {
      part.obstacles.push_back({begin, end, *buffer.offset, *buffer.offset + size});
      part.fixed_height = std::max(part.fixed_height, *buffer.offset + size);
    } else {
      const Bytes alignment = std::lcm(buffer.alignment, instance_.alignment);
      part.items.push_back({begin, end, size, alignment, buffer.end - buffer.begin, row});
    }
  }

  const Instance& instance_;
  std::vector<std::pair<std::int32_t, std::int32_t>> sections_;  // by row
  std::vector<Partition> parts_;
  std::vector<std::int32_t> members_;  // of the open partition
  std::int32_t num_live_ = 0;
  std::int32_t section_ = 0;
  bool has_started_ = false;
};

void add_rules(const Instance& instance, Partition& part) {
  for (const AddressRange& range : instance.forbidden) {
    if (range.begin == range.end) continue;
    part.obstacles.push_back({0, part.num_sections, range.begin, range.end});
  }
  std::sort(part.obstacles.begin(), part.obstacles.end(), [](const auto& a, const auto& b) {
    return std::tie(a.low, a.begin, a.end, a.high) < std::tie(b.low, b.begin, b.end, b.high);
  });
  if (instance.block_limit) part.block_limit = *instance.block_limit;
  part.is_plain = part.obstacles.empty() && !instance.block_limit &&
                  std::all_of(part.items.begin(), part.items.end(), [&](const Item& item) {
                    return item.alignment == instance.alignment;
                  });
}

// Nothing can straddle an item that is always there, so every other item lies wholly above or below
// it, and the bands between such items can be stacked in any order.
void stack_whole_lives(Partition& part, Layout& layout) {
  if (!part.is_plain) return;
  std::vector<Item> others;
  for (const Item& item : part.items) {
    if (item.begin != 0 || item.end != part.num_sections) {
      others.push_back(item);
      continue;
    }
    layout.offsets[item.row] = part.base;
    part.base += item.size;
  }
  part.items = std::move(others);
  part.fixed_height = part.base;
}

}  // namespace

void Partitions::settle(std::size_t part, const Placement& placement) {
  const Partition& partition = parts[part];
  for (std::int32_t i = 0; i < partition.num_items(); ++i) {
    layout.offsets[partition.items[i].row] = placement.offsets[i];
  }
  layout.height = std::max(layout.height, placement.height);
}

Partitions make_partitions(const Instance& instance) {
  Partitions result;
  result.layout.offsets.assign(instance.buffers.size(), 0);
  for (std::size_t i = 0; i < instance.buffers.size(); ++i) {
    const Buffer& buffer = instance.buffers[i];
    if (buffer.offset) result.layout.offsets[i] = *buffer.offset;
  }
  result.parts = Sweep(instance).run(canonical_rows(instance));
  for (Partition& part : result.parts) {
    add_rules(instance, part);
    stack_whole_lives(part, result.layout);
    part.load = section_loads(part);
    part.lower_bound = lower_bound(part);
    result.lower_bound = std::max(result.lower_bound, part.lower_bound);
    result.layout.height = std::max(result.layout.height, part.fixed_height);
  }
  return result;
}

Bytes height_of(const Partition& partition, const std::vector<Bytes>& offsets) {
  Bytes height = partition.fixed_height;
  for (std::int32_t i = 0; i < partition.num_items(); ++i) {
    height = std::max(height, offsets[i] + partition.items[i].size);
  }
  return height;
}

}  // namespace tidemark::arena
