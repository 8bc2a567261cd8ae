#include "tidemark/arena/pack.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "tidemark/arena/effort.h"
#include "tidemark/arena/improver.h"
#include "tidemark/arena/misfit.h"
#include "tidemark/arena/partition.h"
#include "tidemark/arena/sweep_fit.h"
#include "tidemark/arena/validate_layout.h"
#include "tidemark/base/error.h"

namespace tidemark {
namespace {

using arena::Effort;
using arena::Improver;
using arena::Partition;
using arena::Partitions;

constexpr double kWorkPerSecond = 2e8;

std::int64_t work_limit(const PackOptions& options) {
  if (options.work_limit) return *options.work_limit;
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max() / 4;
  const double limit = options.time_limit_s * kWorkPerSecond;
  return limit < static_cast<double>(kMost) ? static_cast<std::int64_t>(limit) : kMost;
}

void check(const PackOptions& options) {
  TIDEMARK_CHECK_VALUE(options.time_limit_s > 0, "time limit is ", options.time_limit_s,
                       " seconds; it must be above 0");
  TIDEMARK_CHECK_VALUE(options.work_limit.value_or(0) >= 0, "work limit is ",
                       options.work_limit.value_or(0), " steps; it must be at least 0");
  TIDEMARK_CHECK_VALUE(options.capacity.value_or(0) >= 0, "capacity is ",
                       options.capacity.value_or(0), " bytes; it must be at least 0");
}

class Packer {
 public:
  Packer(const Instance& instance, const PackOptions& options)
      : instance_(instance),
        options_(options),
        effort_(work_limit(options), options.time_limit_s, options.cancel),
        partitions_(arena::make_partitions(instance)) {}

  Packing run() {
    Packing none{.status = PackStatus::kInfeasible, .lower_bound = partitions_.lower_bound};
    if (note(arena::find_fixed_misfit(instance_), none)) return none;
    const Bytes goal = options_.capacity.value_or(partitions_.lower_bound);
    for (std::size_t p = 0; p < partitions_.parts.size(); ++p) begin(p, goal);
    if (partitions_.lower_bound <= goal) lower_the_highest(goal);
    return result();
  }

 private:
  struct Entry {
    std::size_t part;
    std::unique_ptr<Improver> improver;
  };

  // An instance may have a million partitions: those that need no search get no improver.
  void begin(std::size_t p, Bytes goal) {
    const Partition& part = partitions_.parts[p];
    if (part.is_plain) {
      const arena::Placement placement = arena::sweep_fit(part);
      if (placement.height <= goal) {
        partitions_.settle(p, placement);
        return;
      }
    }
    improvers_.push_back({p, std::make_unique<Improver>(part, effort_)});
    improvers_.back().improver->begin(goal);
  }

  // The arena is as high as its highest partition, so only that one is worth work.
  void lower_the_highest(Bytes goal) {
    while (!improvers_.empty() && !effort_.is_over()) {
      Improver& highest =
          *std::max_element(improvers_.begin(), improvers_.end(),
                            [](const Entry& a, const Entry& b) {
                              return a.improver->best().height < b.improver->best().height;
                            })
               ->improver;
      if (highest.best().height <= std::max(goal, highest.proven())) return;
      if (options_.capacity && highest.proven() > goal) return;
      highest.go_on(goal);
    }
  }

  Packing result() {
    Packing packing;
    packing.lower_bound = partitions_.lower_bound;
    for (const auto& [p, improver] : improvers_) {
      partitions_.settle(p, improver->best());
      packing.lower_bound = std::max(packing.lower_bound, improver->proven());
    }
    packing.layout = std::move(partitions_.layout);
    packing.status = status_of(packing);
    if (options_.capacity && packing.status == PackStatus::kInfeasible) {
      explain(*options_.capacity, packing);
    }
    packing.work = effort_.spent();
    const auto broken = validate(instance_, packing.layout);
    TIDEMARK_ASSERT(!broken, "the packer made a wrong layout: ", broken->sentence);
    return packing;
  }

  // Returns whether there was anything to note.
  static bool note(arena::Misfit misfit, Packing& packing) {
    packing.misfit = std::move(misfit.rows);
    packing.is_irreducible = !packing.misfit.empty() && misfit.is_irreducible;
    return !packing.misfit.empty();
  }

  // Explaining has an effort of its own: the search may have used up all of its.
  void explain(Bytes capacity, Packing& packing) const {
    Effort effort(work_limit(options_), options_.time_limit_s, options_.cancel);
    for (const auto& [p, improver] : improvers_) {
      if (improver->proven() <= capacity) continue;
      note(arena::find_misfit(instance_, partitions_.parts[p], capacity, effort), packing);
      return;
    }
  }

  PackStatus status_of(const Packing& packing) const {
    const Bytes capacity = options_.capacity.value_or(arena::kNoLimit);
    if (packing.lower_bound > capacity) return PackStatus::kInfeasible;
    if (packing.layout.height > capacity) return PackStatus::kTimeOut;
    return packing.layout.height == packing.lower_bound ? PackStatus::kOptimal
                                                        : PackStatus::kFeasible;
  }

  const Instance& instance_;
  const PackOptions& options_;
  Effort effort_;
  Partitions partitions_;
  std::vector<Entry> improvers_;
};

}  // namespace

std::string_view to_string(PackStatus status) noexcept {
  switch (status) {
    case PackStatus::kOptimal:
      return "optimal";
    case PackStatus::kFeasible:
      return "feasible";
    case PackStatus::kInfeasible:
      return "infeasible";
    case PackStatus::kTimeOut:
      return "timeout";
  }
  return "unknown";
}

double Packing::gap() const noexcept {
  if (lower_bound == 0) return 0;
  return static_cast<double>(layout.height - lower_bound) / static_cast<double>(lower_bound);
}

Packing pack(const Instance& instance, const PackOptions& options) {
  check(instance);
  check(options);
  return Packer(instance, options).run();
}

}  // namespace tidemark
