#include "tidemark/plan/signature.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "tidemark/graph/hash.h"
#include "tidemark/graph/lifetime.h"

namespace tidemark {
namespace {

std::vector<BlockIndex> blocks_of(const StepGraph& graph, const std::vector<ValueIndex>& values) {
  std::vector<BlockIndex> blocks;
  for (ValueIndex v : values) {
    const BlockIndex block = graph.values[static_cast<std::size_t>(v)].block;
    if (std::find(blocks.begin(), blocks.end(), block) == blocks.end()) blocks.push_back(block);
  }
  return blocks;
}

std::vector<SignatureItem> find_items(const StepGraph& graph) {
  std::vector<SignatureItem> items;
  for (EventIndex e = 0; e < graph.num_events(); ++e) {
    const Event& event = graph.events[static_cast<std::size_t>(e)];
    const bool is_unpack = event.kind == EventKind::kUnpack;
    const bool is_forward_op = event.kind == EventKind::kOp && event.phase != Phase::kBackward;
    if (!is_unpack && !is_forward_op) continue;
    items.push_back({.event = e,
                     .is_unpack = is_unpack,
                     .name = event.name,
                     .inputs = blocks_of(graph, event.inputs),
                     .outputs = blocks_of(graph, event.outputs),
                     .shapes = event.shapes,
                     .handles = event.handles});
  }
  return items;
}

void add_entry_blocks(const StepGraph& graph, Signature& signature) {
  const std::vector<Interval> lifetimes = block_lifetimes(graph);
  std::vector<Bytes> bytes(lifetimes.size(), 0);
  for (const Value& value : graph.values) {
    bytes[static_cast<std::size_t>(value.block)] = value.bytes;
  }
  for (BlockIndex block : graph.entry.blocks) {
    signature.entry_block_bytes.push_back(bytes[static_cast<std::size_t>(block)]);
    signature.entry_block_ends.push_back(lifetimes[static_cast<std::size_t>(block)].end);
  }
}

// The number of items before `end`: when a block dies as a step that counts only items sees it.
std::size_t place_of(const Signature& signature, EventIndex end) {
  const auto& items = signature.items;
  const auto first = std::partition_point(
      items.begin(), items.end(), [end](const SignatureItem& item) { return item.event < end; });
  return static_cast<std::size_t>(first - items.begin());
}

template <typename T>
std::uint64_t hash_list(std::uint64_t hash, const std::vector<T>& numbers) {
  hash = hash_int(hash, static_cast<std::int64_t>(numbers.size()));
  for (const T number : numbers) hash = hash_int(hash, number);
  return hash;
}

std::uint64_t hash_text(std::uint64_t hash, std::string_view text) {
  return hash_bytes(text, hash_int(hash, static_cast<std::int64_t>(text.size())));
}

std::uint64_t hash_item(std::uint64_t hash, const SignatureItem& item) {
  hash = hash_int(hash, item.is_unpack ? 1 : 0);
  hash = hash_text(hash, item.name);
  hash = hash_list(hash, item.inputs);
  hash = hash_list(hash, item.outputs);
  hash = hash_int(hash, static_cast<std::int64_t>(item.shapes.size()));
  for (const std::string& shape : item.shapes) hash = hash_text(hash, shape);
  return hash_list(hash, item.handles);
}

template <typename T>
std::string join(const std::vector<T>& list) {
  std::string out = "[";
  for (const T& item : list) {
    if (out.size() > 1) out += ", ";
    if constexpr (std::is_same_v<T, std::string>) {
      out += item;
    } else {
      out += std::to_string(item);
    }
  }
  return out + "]";
}

std::string describe(const SignatureItem& item) {
  return (item.is_unpack ? "the unpack of " : "the op ") + item.name;
}

std::string differ(const SignatureItem& at, const std::string& what, const std::string& expected,
                   const std::string& found) {
  return "At event " + std::to_string(at.event) + ", " + describe(at) + ": expected " + what + " " +
         expected + ", found " + found + ".";
}

std::optional<std::string> item_difference(const SignatureItem& expected,
                                           const SignatureItem& found) {
  if (expected.is_unpack != found.is_unpack || expected.name != found.name) {
    return "At event " + std::to_string(expected.event) + ": expected " + describe(expected) +
           ", found " + describe(found) + ".";
  }
  const auto lists = [&expected](const char* what, const auto& a,
                                 const auto& b) -> std::optional<std::string> {
    if (a == b) return std::nullopt;
    return differ(expected, what, join(a), join(b));
  };
  if (auto d = lists("the input blocks", expected.inputs, found.inputs)) return d;
  if (auto d = lists("the output blocks", expected.outputs, found.outputs)) return d;
  if (auto d = lists("the result shapes", expected.shapes, found.shapes)) return d;
  return lists("the handles", expected.handles, found.handles);
}

std::optional<std::string> length_difference(const Signature& expected, const Signature& found) {
  const std::size_t common = std::min(expected.items.size(), found.items.size());
  if (expected.items.size() > common) {
    const SignatureItem& next = expected.items[common];
    return "At event " + std::to_string(next.event) + ": expected " + describe(next) +
           ", found the end of the step.";
  }
  if (found.items.size() > common) {
    const SignatureItem& next = found.items[common];
    return "At event " + std::to_string(next.event) + ": expected the end of the step, found " +
           describe(next) + ".";
  }
  return std::nullopt;
}

std::optional<std::string> entry_difference(const Signature& expected, const Signature& found) {
  if (expected.entry.blocks != found.entry.blocks) {
    return "At entry: expected the blocks " + join(expected.entry.blocks) + ", found " +
           join(found.entry.blocks) + ".";
  }
  if (expected.entry_block_bytes != found.entry_block_bytes) {
    return "At entry: expected blocks of " + join(expected.entry_block_bytes) + " bytes, found " +
           join(found.entry_block_bytes) + ".";
  }
  for (std::size_t i = 0; i < expected.entry_block_ends.size(); ++i) {
    const bool is_there = i < found.entry_block_ends.size();
    const EventIndex end = expected.entry_block_ends[i];
    if (is_there && place_of(expected, end) == place_of(found, found.entry_block_ends[i])) continue;
    return "At entry: expected block " + std::to_string(expected.entry.blocks.at(i)) +
           " to be gone at event " + std::to_string(end) + ", found " +
           (is_there ? std::to_string(found.entry_block_ends[i]) : "no event") + ".";
  }
  return std::nullopt;
}

}  // namespace

Signature signature(const StepGraph& graph) {
  Signature result;
  result.items = find_items(graph);
  result.entry = graph.entry;
  add_entry_blocks(graph, result);
  return result;
}

std::uint64_t signature_hash(const Signature& signature) {
  std::uint64_t hash = hash_list(kHashSeed, signature.entry.blocks);
  hash = hash_list(hash, signature.entry_block_bytes);
  for (EventIndex end : signature.entry_block_ends) {
    hash = hash_int(hash, static_cast<std::int64_t>(place_of(signature, end)));
  }
  for (const SignatureItem& item : signature.items) hash = hash_item(hash, item);
  return hash;
}

std::uint64_t graph_hash(const StepGraph& graph) { return signature_hash(signature(graph)); }

std::optional<std::string> first_difference(const Signature& expected, const Signature& found) {
  const std::size_t common = std::min(expected.items.size(), found.items.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (auto difference = item_difference(expected.items[i], found.items[i])) return difference;
  }
  if (auto difference = length_difference(expected, found)) return difference;
  return entry_difference(expected, found);
}

}  // namespace tidemark
