#include "tidemark/arena/orders.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "tidemark/arena/bounds.h"

namespace tidemark::arena {
namespace {

// In [0, 1), the same on every platform (std distributions are not).
double uniform(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1.0p-53; }

// Per item, how many others share a section with it: all but those that end before it begins or
// begin after it ends.
std::vector<std::int32_t> overlaps(const Partition& partition) {
  const auto num_sections = static_cast<std::size_t>(partition.num_sections);
  std::vector<std::int32_t> ended(num_sections + 1, 0);  // by section: how many end there or before
  std::vector<std::int32_t> begun(num_sections + 1, 0);  // how many begin before it
  for (const Item& item : partition.items) {
    ++ended[item.end];
    ++begun[item.begin + 1];
  }
  std::partial_sum(ended.begin(), ended.end(), ended.begin());
  std::partial_sum(begun.begin(), begun.end(), begun.begin());
  std::vector<std::int32_t> counts;
  counts.reserve(partition.items.size());
  for (const Item& item : partition.items) {
    counts.push_back(begun[item.end] - ended[item.begin] - 1);
  }
  return counts;
}

}  // namespace

Orders::Orders(const Partition& partition)
    : partition_(partition), contention_(contention(partition)), overlaps_(overlaps(partition)) {
  for (const Bytes load : contention_) highest_load_ = std::max(highest_load_, load);
}

double Orders::value(Key key, std::int32_t item) const {
  const Item& it = partition_.items[item];
  const double width = static_cast<double>(it.width);
  switch (key) {
    case Key::kSize:
      return static_cast<double>(it.size);
    case Key::kWidth:
      return width;
    case Key::kArea:
      return static_cast<double>(it.size) * width;
    case Key::kEarlyStart:
      return -it.begin;
    case Key::kLateStart:
      return it.begin;
    case Key::kLateEnd:
      return it.end;
    case Key::kEarlyEnd:
      return -it.end;
    case Key::kBreadth:
      return static_cast<double>(contention_[item]);
    case Key::kSections:
      return it.end - it.begin;
    case Key::kOverlaps:
      return overlaps_[item];
  }
  return 0;
}

Order Orders::sorted_by(const Keys& keys) const {
  using Scored = std::pair<std::array<double, 3>, std::int32_t>;
  std::vector<Scored> scored(partition_.items.size());
  for (std::int32_t i = 0; i < partition_.num_items(); ++i) {
    scored[i] = {{-value(keys[0], i), -value(keys[1], i), -value(keys[2], i)}, i};
  }
  std::sort(scored.begin(), scored.end());
  Order order(scored.size());
  std::transform(scored.begin(), scored.end(), order.begin(),
                 [](const Scored& s) { return s.second; });
  return order;
}

Order Orders::drawn(std::mt19937_64& random) const {
  const double p = uniform(random) < 0.5 ? 0.35 * uniform(random) : uniform(random);
  const double c = uniform(random) < 0.5 ? 0 : 8 * uniform(random);
  const double q = 2 * uniform(random) - 1;
  const double noise = uniform(random) < 0.3 ? 0 : 0.3 * uniform(random) * uniform(random);
  const double ties = uniform(random) < 0.5 ? 1e-9 : -1e-9;  // by start, early or late first
  return by_falling([&](std::int32_t i) {
    const Item& item = partition_.items[i];
    const double start = static_cast<double>(item.begin) / partition_.num_sections;
    return std::log(static_cast<double>(item.size)) +
           p * std::log(static_cast<double>(item.width)) + c * crowding(i) + (q + ties) * start +
           noise * (2 * uniform(random) - 1);
  });
}

Order Orders::drawn_for_search(std::mt19937_64& random) const {
  double weights[5];
  for (double& weight : weights) weight = uniform(random) < 0.5 ? 0 : 2 * uniform(random) - 1;
  return by_falling([&](std::int32_t i) {
    const Item& item = partition_.items[i];
    const double sections = partition_.num_sections;
    return weights[0] / 3 * std::log(static_cast<double>(item.width)) +
           weights[1] / 3 * std::log(static_cast<double>(item.size)) +
           weights[2] * 3 * crowding(i) + weights[3] * 3 * item.begin / sections +
           weights[4] * 3 * item.end / sections;
  });
}

double Orders::crowding(std::int32_t item) const {
  return static_cast<double>(contention_[item]) / static_cast<double>(highest_load_);
}

// Calls score(i) once per item, in order of index.
template <typename Score>
Order Orders::by_falling(Score score) const {
  std::vector<std::pair<double, std::int32_t>> scored(partition_.items.size());
  for (std::int32_t i = 0; i < partition_.num_items(); ++i) scored[i] = {-score(i), i};
  std::sort(scored.begin(), scored.end());
  Order order(scored.size());
  std::transform(scored.begin(), scored.end(), order.begin(),
                 [](const auto& s) { return s.second; });
  return order;
}

const std::vector<Recipe>& portfolio() {
  using enum Key;
  static constexpr std::array<Keys, 12> kOrders = {{
      {kSize, kEarlyStart, kWidth},
      {kBreadth, kSize, kEarlyStart},
      {kEarlyStart, kWidth, kSize},
      {kEarlyStart, kSize, kWidth},
      {kSize, kWidth, kEarlyStart},
      {kArea, kEarlyStart, kSize},
      {kSize, kLateEnd, kWidth},
      {kWidth, kSize, kEarlyStart},
      {kBreadth, kWidth, kSize},
      {kLateEnd, kSize, kEarlyStart},
      {kSize, kLateStart, kWidth},
      {kWidth, kEarlyStart, kSize},
  }};
  static const std::vector<Recipe> recipes = [] {
    std::vector<Recipe> all;
    for (const Keys& keys : kOrders) {
      for (const Fit fit : {Fit::kFirst, Fit::kBest}) all.push_back({keys, fit});
    }
    return all;
  }();
  return recipes;
}

}  // namespace tidemark::arena
