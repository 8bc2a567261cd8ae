#include "tidemark/runtime/eviction.h"

#include <algorithm>
#include <unordered_set>
#include <utility>
#include <vector>

#include "tidemark/runtime/replay.h"

namespace tidemark {
namespace {

bool is_evictable(Tape& tape, const ValueState& value) {
  if (!value.kept || value.num_pending > 0 || value.kept.seen()->weak.use_count() != 1) {
    return false;
  }
  const TapeBlock& block = tape.block(value.key.block);
  if (block.is_source || block.bytes == 0) return false;
  return value.kept.seen()->version != kNone || block.version == value.key.version;
}

double score(Tape& tape, const ValueState& value) {
  const TapeBlock& block = tape.block(value.key.block);
  const auto version = static_cast<std::size_t>(value.key.version);
  const auto writer = version < block.writers.size() ? block.writers[version] : kNone;
  const TapedOp* op = writer == kNone ? nullptr : tape.op(writer);
  const double cost = op == nullptr ? 1e12 : static_cast<double>(op->cost_ns + 1);
  const auto staleness = static_cast<double>(tape.num_ops() - value.last_use + 1);
  return cost / (static_cast<double>(block.bytes) * std::max(1.0, staleness));
}

}  // namespace

std::vector<ValueKey> evict(Tape& tape, Bytes bytes) {
  std::vector<std::pair<double, ValueState*>> candidates;
  tape.values().for_each([&](ValueState& value) {
    if (is_evictable(tape, value)) candidates.emplace_back(score(tape, value), &value);
  });
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  AnchorSearch search(tape);
  std::vector<ValueKey> held;
  Bytes freed = 0;
  for (const auto& [unused, value] : candidates) {
    if (freed >= bytes) break;
    if (!search.is_recomputable(value->key)) continue;
    value->anchors = search.anchors(value->key);
    value->has_spare_anchors = false;
    for (const Ref& anchor : value->anchors) {
      const SeenStorage& seen = *anchor.seen();
      if (seen.version == kNone) held.push_back({seen.block, tape.block(seen.block).version});
    }
    tape.set_dropped(*value, true);
    value->kept.reset();
    freed += tape.block(value->key.block).bytes;
  }
  return held;
}

std::vector<ValueState*> less_than_their_anchors(Tape& tape) {
  std::vector<ValueState*> values;
  std::unordered_set<const SeenStorage*> anchors;
  Bytes spared = 0;
  tape.values().for_each([&](ValueState& value) {
    if (value.anchors.empty() || value.num_handles == 0) return;
    values.push_back(&value);
    spared -= tape.block(value.key.block).bytes;
    for (const Ref& anchor : value.anchors) {
      if (!anchors.insert(anchor.seen()).second) continue;
      spared += tape.block(anchor.seen()->block).bytes;
    }
  });
  if (spared <= 0) values.clear();
  return values;
}

}  // namespace tidemark
