#include "tidemark/arena/scarce_room.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace tidemark {
namespace {

// Below, a block that alignment makes larger is not worth its place.
constexpr Bytes kSmall = 1024;

constexpr int kMostTries = 3;

// An arena that is lower than this share of what it could be would serve too little.
constexpr double kLeastShare = 0.75;

// Two steps are first packed with the limit divided by this, as their mirror images are what fits.
constexpr std::int64_t kQuickDivisor = 8;

// What lives in the arena and what outside it, per time of the step.
class Loads {
 public:
  Loads(StepTrace& trace, Bytes alignment)
      : trace_(trace),
        alignment_(alignment),
        inside_(trace.live_bytes.size()),
        outside_(trace.live_bytes) {
    for (const TracedBlock& block : trace.blocks) move(block, 1);
  }

  // The least height that an arena can have.
  Bytes most_inside() const { return inside_[fullest()]; }
  // The height that `limit` leaves it.
  Bytes room(Bytes limit) const {
    const Bytes most = *std::max_element(outside_.begin(), outside_.end());
    return std::max<Bytes>(limit - most, 0) / alignment_ * alignment_;
  }

  void leave_out(TracedBlock& block) {
    move(block, -1);
    block.is_left_out = true;
  }

  // Leaves out the block that alignment makes larger by most where the arena is fullest; returns
  // whether there is one.
  bool leave_out_most_padded() {
    const Time fullest = this->fullest();
    TracedBlock* best = nullptr;
    for (TracedBlock& block : trace_.blocks) {
      if (block.is_left_out || padding(block) == 0 || !lives_at(block, fullest)) continue;
      if (best == nullptr || padding(block) > padding(*best)) best = &block;
    }
    if (best != nullptr) leave_out(*best);
    return best != nullptr;
  }

  // Leaves out the largest block without which the arena can be lower and fit; returns whether
  // there is one.
  bool leave_out_largest(Bytes limit) {
    const Bytes most = most_inside();
    const Time fullest = this->fullest();
    std::vector<std::size_t> order(trace_.blocks.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
      return trace_.blocks[a].bytes > trace_.blocks[b].bytes;
    });
    for (const std::size_t i : order) {
      TracedBlock& block = trace_.blocks[i];
      if (block.is_left_out || !lives_at(block, fullest)) continue;
      leave_out(block);
      if (most_inside() < most && most_inside() <= room(limit)) return true;
      block.is_left_out = false;
      move(block, 1);
    }
    return false;
  }

 private:
  static bool lives_at(const TracedBlock& block, Time time) {
    if (block.end) return block.begin <= time && time < *block.end;
    return block.end_of_last && (block.begin <= time || time < *block.end_of_last);
  }

  Time fullest() const {
    return std::max_element(inside_.begin(), inside_.end()) - inside_.begin();
  }

  Bytes padded(Bytes bytes) const { return (bytes + alignment_ - 1) / alignment_ * alignment_; }
  Bytes padding(const TracedBlock& block) const { return padded(block.bytes) - block.bytes; }

  // Into the arena (1) or out of it (-1). What lives longer than the addresses are planned for is
  // never in it.
  void move(const TracedBlock& block, Bytes sign) {
    const Time length = trace_.length;
    if (block.end) move(block.begin, *block.end, block.bytes, sign);
    if (block.end || !block.end_of_last) return;
    move(block.begin, length, block.bytes, sign);
    move(0, *block.end_of_last, block.bytes, sign);
  }

  void move(Time begin, Time end, Bytes bytes, Bytes sign) {
    for (Time time = begin; time < end; ++time) {
      inside_[time] += sign * padded(bytes);
      outside_[time] -= sign * bytes;
    }
  }

  StepTrace& trace_;
  Bytes alignment_;
  std::vector<Bytes> inside_;  // as alignment has it
  std::vector<Bytes> outside_;
};

std::optional<AddressPlan> plan_below(const StepTrace& trace, Bytes alignment, Bytes height,
                                      PackOptions options) {
  if (!trace.has_overlaps()) {
    options.capacity = height;
    AddressPlan plan = plan_addresses(trace, alignment, options);
    if (plan.height() <= height) return plan;
    return std::nullopt;
  }
  PackOptions quick = options;
  if (quick.work_limit) *quick.work_limit /= kQuickDivisor;
  AddressPlan plan = plan_addresses_of_two(trace, alignment, quick);
  if (plan.height() <= height) return plan;
  if (mirror_second_step(plan, trace, height, options)) return plan;
  return std::nullopt;
}

}  // namespace

std::optional<AddressPlan> plan_addresses_within(StepTrace trace, Bytes alignment, Bytes limit,
                                                 const PackOptions& options) {
  Loads loads(trace, alignment);
  const auto least = static_cast<Bytes>(kLeastShare * static_cast<double>(loads.most_inside()));
  for (TracedBlock& block : trace.blocks) {
    if (block.bytes < kSmall && block.bytes % alignment != 0) loads.leave_out(block);
  }
  while (loads.most_inside() > loads.room(limit)) {
    if (!loads.leave_out_most_padded() || loads.most_inside() < least) return std::nullopt;
  }
  for (int i = 0; i < kMostTries && loads.most_inside() >= least; ++i) {
    auto plan = plan_below(trace, alignment, loads.room(limit), options);
    if (plan) return plan;
    if (!loads.leave_out_largest(limit)) break;
  }
  return std::nullopt;
}

}  // namespace tidemark
