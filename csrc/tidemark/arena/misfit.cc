#include "tidemark/arena/misfit.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "tidemark/arena/bounds.h"
#include "tidemark/arena/orders.h"
#include "tidemark/arena/race.h"
#include "tidemark/arena/validate_layout.h"

namespace tidemark::arena {
namespace {

using Rows = std::vector<std::int32_t>;

constexpr std::int64_t kWorkPerProof = 2'000'000;

Instance restricted_to(const Instance& instance, const Rows& rows) {
  Instance some{.alignment = instance.alignment,
                .block_limit = instance.block_limit,
                .forbidden = instance.forbidden};
  for (const std::int32_t row : rows) some.buffers.push_back(instance.buffers[row]);
  return some;
}

enum class Answer : std::uint8_t { kFits, kDoesNotFit, kUnknown };

// Whether the buffers fit, as far as the lower bound and a short search can tell.
Answer ask(const Instance& instance, Bytes capacity, Effort& effort) {
  const Partitions partitions = make_partitions(instance);
  effort.spend(static_cast<std::int64_t>(instance.buffers.size()) * 8);
  if (partitions.lower_bound > capacity) return Answer::kDoesNotFit;
  Answer answer = Answer::kFits;
  for (const Partition& part : partitions.parts) {
    const Orders orders(part);
    switch (Race(part, orders, capacity).run(kWorkPerProof, effort)) {
      case SearchState::kExhausted:
        return Answer::kDoesNotFit;
      case SearchState::kRunning:
        answer = Answer::kUnknown;
        break;
      case SearchState::kFound:
        break;
    }
  }
  return answer;
}

// The buffers that live when the partition's most crowded section begins.
Rows rows_at_the_bound(const Instance& instance, const Partition& part) {
  const std::int32_t section = tightest_section(part);
  Time time = std::numeric_limits<Time>::min();
  for (const Item& item : part.items) {
    if (item.overlaps(section, section + 1)) {
      time = std::max(time, instance.buffers[item.row].begin);
    }
  }
  Rows rows;
  for (std::size_t row = 0; row < instance.buffers.size(); ++row) {
    const Buffer& buffer = instance.buffers[row];
    if (buffer.begin <= time && time < buffer.end && buffer.size > 0) {
      rows.push_back(static_cast<std::int32_t>(row));
    }
  }
  return rows;
}

// All buffers of the partition's stretch of time, fixed and whole-life ones included.
Rows rows_of(const Instance& instance, const Partition& part) {
  Rows rows;
  for (std::size_t row = 0; row < instance.buffers.size(); ++row) {
    const Buffer& buffer = instance.buffers[row];
    if (buffer.begin < part.end_time && part.begin_time < buffer.end && buffer.size > 0) {
      rows.push_back(static_cast<std::int32_t>(row));
    }
  }
  return rows;
}

Rows smallest_first(const Instance& instance, Rows rows) {
  std::sort(rows.begin(), rows.end(), [&](std::int32_t a, std::int32_t b) {
    const Buffer& x = instance.buffers[a];
    const Buffer& y = instance.buffers[b];
    return std::tie(x.size, x.begin, x.end, x.name, a) <
           std::tie(y.size, y.begin, y.end, y.name, b);
  });
  return rows;
}

}  // namespace

Misfit find_fixed_misfit(const Instance& instance) {
  Rows fixed;
  Layout layout;
  for (std::size_t row = 0; row < instance.buffers.size(); ++row) {
    const Buffer& buffer = instance.buffers[row];
    if (!buffer.offset) continue;
    fixed.push_back(static_cast<std::int32_t>(row));
    layout.offsets.push_back(*buffer.offset);
  }
  const auto broken = validate(restricted_to(instance, fixed), layout);
  if (!broken || !broken->row) return {};  // only the height, which nobody has worked out
  Misfit misfit{.rows = {fixed[*broken->row]}};
  if (broken->other) misfit.rows.push_back(fixed[*broken->other]);
  std::sort(misfit.rows.begin(), misfit.rows.end());
  return misfit;
}

Misfit find_misfit(const Instance& instance, const Partition& part, Bytes capacity,
                   Effort& effort) {
  Rows rows = part.lower_bound > capacity ? rows_at_the_bound(instance, part) : Rows{};
  if (rows.empty() || ask(restricted_to(instance, rows), capacity, effort) != Answer::kDoesNotFit) {
    rows = rows_of(instance, part);
  }
  Misfit misfit;
  for (const std::int32_t row : smallest_first(instance, rows)) {
    if (effort.is_over()) {
      misfit.is_irreducible = false;
      break;
    }
    Rows rest = rows;
    std::erase(rest, row);
    const Answer answer = ask(restricted_to(instance, rest), capacity, effort);
    if (answer == Answer::kDoesNotFit) rows = std::move(rest);
    if (answer == Answer::kUnknown) misfit.is_irreducible = false;
  }
  std::sort(rows.begin(), rows.end());
  misfit.rows = std::move(rows);
  return misfit;
}

}  // namespace tidemark::arena
