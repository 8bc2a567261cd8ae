#include "tidemark/arena/placer.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <utility>

#include "tidemark/base/error.h"

namespace tidemark::arena {

// Placed items sorted by address, in chunks so that entering one moves little memory.
class Placer::AddressList {
 public:
  void clear() { num_chunks_ = 0; }

  void enter(const Obstacle& entry) {
    if (num_chunks_ == 0) add_chunk(0);
    // The last chunk that begins below the entry, else the first.
    std::size_t c = 0;
    for (std::size_t count = num_chunks_; count > 1;) {
      const std::size_t half = count / 2;
      if (chunks_[c + half]->entries[0].low <= entry.low) c += half;
      count -= half;
    }
    if (chunks_[c]->size == kChunk) {
      split(c);
      if (chunks_[c + 1]->entries[0].low <= entry.low) ++c;
    }
    Chunk& chunk = *chunks_[c];
    Obstacle* end = chunk.entries.data() + chunk.size;
    Obstacle* at = end;
    while (at != chunk.entries.data() && entry.low < at[-1].low) --at;
    std::move_backward(at, end, end + 1);
    *at = entry;
    ++chunk.size;
  }

  // Calls visit(entry) for the entries that overlap [begin, end) in time, by address, until it
  // returns true. Returns the number of entries looked at.
  template <typename Visit>
  std::int64_t scan(std::int32_t begin, std::int32_t end, Visit visit) const {
    std::int64_t looked_at = 0;
    for (std::size_t c = 0; c < num_chunks_; ++c) {
      const Chunk& chunk = *chunks_[c];
      looked_at += chunk.size;
      for (const Obstacle* entry = chunk.entries.data(); entry != chunk.entries.data() + chunk.size;
           ++entry) {
        if (entry->begin < end && begin < entry->end && visit(*entry)) return looked_at;
      }
    }
    return looked_at;
  }

 private:
  static constexpr std::size_t kChunk = 128;
  struct Chunk {
    std::size_t size = 0;
    std::array<Obstacle, kChunk> entries;
  };

  void add_chunk(std::size_t at) {
    if (num_chunks_ == chunks_.size()) chunks_.push_back(std::make_unique<Chunk>());
    const auto first = chunks_.begin() + static_cast<std::ptrdiff_t>(at);
    std::rotate(first, chunks_.begin() + static_cast<std::ptrdiff_t>(num_chunks_),
                chunks_.begin() + static_cast<std::ptrdiff_t>(num_chunks_) + 1);
    chunks_[at]->size = 0;
    ++num_chunks_;
  }

  void split(std::size_t c) {
    add_chunk(c + 1);
    Chunk& low = *chunks_[c];
    Chunk& high = *chunks_[c + 1];
    std::copy(low.entries.begin() + kChunk / 2, low.entries.end(), high.entries.begin());
    low.size = kChunk / 2;
    high.size = kChunk - low.size;
  }

  std::vector<std::unique_ptr<Chunk>> chunks_;  // those above num_chunks_ wait to be used again
  std::size_t num_chunks_ = 0;
};

// Windows [k * step, k * step + 2 * step) of sections.
struct Placer::Level {
  std::int32_t step = 0;
  std::vector<AddressList> windows;
};

namespace {

constexpr std::int32_t kItemsPerWindow = 256;
constexpr std::int32_t kFinestWindows = 64;

// Finds the gap for one item while the taken addresses around it come by in order.
class Gap {
 public:
  Gap(const Partition& partition, const Item& item, Fit fit)
      : partition_(partition),
        item_(item),
        fit_(fit),
        start_(partition.lowest_start(item, partition.base)) {}

  // Returns whether the search is over.
  bool pass(const Obstacle& taken) {
    const Bytes room = taken.low - start_;
    if (room >= item_.size && room < best_room_) {
      best_room_ = room;
      best_ = start_;
      if (fit_ == Fit::kFirst || room == item_.size) return true;
    }
    if (taken.high > start_) start_ = partition_.lowest_start(item_, taken.high);
    return false;
  }

  Bytes offset() const { return best_room_ == kNoLimit ? start_ : best_; }

 private:
  const Partition& partition_;
  const Item& item_;
  Fit fit_;
  Bytes start_;
  Bytes best_ = 0;
  Bytes best_room_ = kNoLimit;
};

}  // namespace

Placer::Placer(const Partition& partition, Effort& effort)
    : partition_(partition), effort_(effort) {
  levels_.emplace_back();
  levels_.back().step = std::max(partition.num_sections, 1);
  levels_.back().windows.resize(1);
  const std::int32_t num_windows =
      std::min(kFinestWindows, partition.num_items() / kItemsPerWindow);
  for (std::int32_t count = 4; count <= num_windows; count *= 4) {
    const std::int32_t step = partition.num_sections / (2 * count);
    if (step == 0) break;
    levels_.emplace_back();
    levels_.back().step = step;
    levels_.back().windows.resize(partition.num_sections / step + 1);
  }
}

Placer::~Placer() = default;

Placer::AddressList& Placer::window_of(const Item& item) {
  std::size_t level = levels_.size() - 1;
  while (level > 0 && levels_[level].step < item.end - item.begin) --level;
  return levels_[level].windows[item.begin / levels_[level].step];
}

void Placer::enter(std::int32_t begin, std::int32_t end, Bytes low, Bytes high) {
  const Obstacle entry{begin, end, low, high};
  for (Level& level : levels_) {
    const std::int32_t first = std::max(begin / level.step - 1, 0);
    const std::int32_t last =
        std::min((end - 1) / level.step, static_cast<std::int32_t>(level.windows.size()) - 1);
    for (std::int32_t w = first; w <= last; ++w) level.windows[w].enter(entry);
    effort_.spend(4 * std::int64_t{last - first + 1});
  }
}

void Placer::reset() {
  for (Level& level : levels_) {
    for (AddressList& window : level.windows) window.clear();
  }
  for (const Obstacle& o : partition_.obstacles) enter(o.begin, o.end, o.low, o.high);
}

std::optional<Placement> Placer::place(std::span<const std::int32_t> order, Fit fit, Bytes cut) {
  reset();
  Placement placement{.offsets = std::vector<Bytes>(partition_.items.size(), 0),
                      .height = partition_.fixed_height};
  for (const std::int32_t i : order) {
    const Item& item = partition_.items[i];
    Gap gap(partition_, item, fit);
    const std::int64_t looked_at = window_of(item).scan(
        item.begin, item.end, [&](const Obstacle& taken) { return gap.pass(taken); });
    if (!effort_.spend(looked_at)) return std::nullopt;
    const Bytes low = gap.offset();
    if (low + item.size >= cut) return std::nullopt;
    placement.offsets[i] = low;
    placement.height = std::max(placement.height, low + item.size);
    enter(item.begin, item.end, low, low + item.size);
  }
  return placement;
}

Placement place_all(const Partition& partition, std::span<const std::int32_t> order, Fit fit,
                    std::int64_t& work) {
  Effort unlimited(std::numeric_limits<std::int64_t>::max(), 1e9, {});
  std::optional<Placement> placement = Placer(partition, unlimited).place(order, fit, kNoLimit);
  TIDEMARK_ASSERT(placement, "nothing limits where items are placed");
  work += unlimited.spent();
  return *std::move(placement);
}

}  // namespace tidemark::arena
