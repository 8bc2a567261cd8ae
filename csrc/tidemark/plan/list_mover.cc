#include "tidemark/plan/list_mover.h"

#include <algorithm>

namespace tidemark {
namespace {

// Events with more room than all nearer ones that are tried, and events looked at for them.
constexpr int kMostTries = 4;
constexpr int kMostPlaces = 64;

}  // namespace

ListMover::ListMover(Residency& residency)
    : residency_(residency), graph_(residency.problem().graph()), closure_(residency) {
  const EventKind kind = graph_.has_runtime_actions ? EventKind::kUnpack : EventKind::kOp;
  for (EventIndex e = 0; e < graph_.num_events(); ++e)
    if (graph_.events[e].kind == kind) places_.push_back(e);
}

// Whether something uses what `op` restores in the list of `at`, other than the list itself.
bool ListMover::is_wanted(EventIndex op, EventIndex at) const {
  return std::ranges::any_of(residency_.problem().restores(op), [&](ValueIndex v) {
    const EventIndex last = residency_.last_use_of({at, op}, v);
    return last > at || std::ranges::binary_search(residency_.facts().serves[v], at);
  });
}

// What stays from then on, wherever the ops run.
Bytes ListMover::wanted_bytes(std::span<const EventIndex> ops, EventIndex at) const {
  Bytes sum = 0;
  for (EventIndex op : ops)
    for (ValueIndex v : residency_.problem().restores(op))
      if (residency_.last_use_of({at, op}, v) != kNone) sum += graph_.values[v].bytes;
  return sum;
}

bool ListMover::move_to(EventIndex to, std::span<const EventIndex> ops, EventIndex at, Bytes most) {
  if (!closure_.find(ops, to, most, Closure::kNoLimit)) return false;
  std::vector<EventIndex> missing = closure_.ops();
  std::erase_if(missing, [&](EventIndex op) { return residency_.is_listed(to, op); });
  const std::size_t mark = residency_.log_size();
  residency_.add(to, missing);
  const bool is_moved = std::ranges::all_of(ops, [&](EventIndex op) {
    return !residency_.is_listed(at, op) || residency_.remove({at, op});
  });
  if (is_moved && residency_.tree().most_in(2 * to, 2 * at + 1) <= most) return true;
  residency_.undo_to(mark);
  return false;
}

bool ListMover::move(std::span<const EventIndex> ops, EventIndex at, Bytes most) {
  const RangeTree& tree = residency_.tree();
  const Bytes staying = wanted_bytes(ops, at);
  RangeTree::Number least = tree.most_in(2 * at, 2 * at + 1);
  auto place = std::ranges::lower_bound(places_, at);
  int num_tries = 0;
  for (int i = 0; i < kMostPlaces && place != places_.begin(); ++i) {
    const EventIndex to = *--place;
    residency_.add_work(1);
    const RangeTree::Number here = tree.most_in(2 * to, 2 * to + 1);
    if (to <= ops.back() || here + staying > most) return false;
    if (here >= least) continue;
    least = here;
    if (move_to(to, ops, at, most)) return true;
    if (++num_tries == kMostTries) return false;
  }
  return false;
}

bool ListMover::move_earlier(EventIndex at, Bytes most, std::int64_t most_work) {
  // A list that is taken away op by op is looked through again for each.
  const auto size = static_cast<std::int64_t>(residency_.list(at).size());
  if (size * size > most_work) return false;
  const std::int64_t begin = residency_.work();
  std::vector<EventIndex> wanted;
  for (EventIndex op : residency_.list(at))
    if (is_wanted(op, at)) wanted.push_back(op);
  if (wanted.empty()) return false;
  if (move(wanted, at, most)) return true;
  if (wanted.size() == 1) return false;
  return std::ranges::any_of(wanted, [&](EventIndex op) {
    return residency_.work() - begin <= most_work && move(std::span(&op, 1), at, most);
  });
}

}  // namespace tidemark
