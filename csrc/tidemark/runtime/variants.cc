#include "tidemark/runtime/variants.h"

#include <algorithm>
#include <set>
#include <utility>

#include "tidemark/plan/signature.h"
#include "tidemark/plan/simulate.h"
#include "tidemark/plan/validate.h"

namespace tidemark {
namespace {

// Blocks of the variant's entry state that are not alive, and live ones that it does not know.
struct EntryDifference {
  std::size_t num_missing = 0;
  std::size_t num_unexpected = 0;
};

bool take(std::multiset<Bytes>& sizes, Bytes bytes) {
  auto found = sizes.find(bytes);
  if (found == sizes.end()) return false;
  sizes.erase(found);
  return true;
}

EntryDifference difference(const Variant& variant, const std::vector<LiveBlock>& live) {
  std::multiset<Bytes> wanted(variant.active.begin(), variant.active.end());
  std::multiset<Bytes> untouched(variant.untouched.begin(), variant.untouched.end());
  const auto& any_number = variant.left_behind;
  EntryDifference result;
  for (const LiveBlock& block : live) {
    if (take(wanted, block.bytes)) continue;
    if (std::binary_search(any_number.begin(), any_number.end(), block.bytes)) continue;
    if (!take(untouched, block.bytes)) ++result.num_unexpected;
  }
  result.num_missing = wanted.size();
  return result;
}

// The same sizes as in a state that matched match again, without looking at each.
bool matches(Variant& variant, EntryState& entry) {
  if (variant.matching_live_hash == entry.live_hash()) return true;
  const auto [num_missing, num_unexpected] = difference(variant, entry.blocks());
  if (num_missing > 0 || num_unexpected > 0) return false;
  variant.matching_live_hash = entry.live_hash();
  return true;
}

// An op that was interrupted once looks dear. Where two recordings agree from their beginning on,
// its time is the lesser of both.
void take_lesser_costs(StepGraph& graph, const StepGraph& other) {
  const std::size_t size = std::min(graph.events.size(), other.events.size());
  for (std::size_t i = 0; i < size; ++i) {
    Event& event = graph.events[i];
    const Event& same = other.events[i];
    if (event.kind != same.kind || event.name != same.name || event.shapes != same.shapes) return;
    event.cost_ns = std::min(event.cost_ns, same.cost_ns);
  }
}

}  // namespace

bool keeps_promise(const PlanScript& script, const StepGraph& graph) {
  const Plan& plan = script.plan();
  const Bytes offset = graph.entry.total_bytes() - script.entry_bytes();
  return simulate(graph, plan).peak_bytes == plan.peak_bytes + offset;
}

bool is_valid_for(const PlanScript& script, const StepGraph& graph) {
  Plan plan = script.plan();
  if (plan.signature.items != signature(graph).items) return false;
  const auto violation = validate(graph, plan);
  // Times were others when it was made; what it promises in bytes is compared with care elsewhere.
  return !violation || violation->rule >= Rule::kWrongRecompute;
}

const std::vector<LiveBlock>& EntryState::blocks() {
  if (!blocks_) blocks_ = StepAllocator::instance().live_blocks();
  return *blocks_;
}

bool Variants::may_be_newest(EntryState& entry) const {
  return difference(newest(), entry.blocks()).num_missing == 0;
}

Variant* Variants::find(EntryState& entry) {
  auto found = expected_next();
  if (found == variants_.end() || !matches(**found, entry)) {
    found = std::find_if(variants_.begin(), variants_.end(),
                         [&](const auto& variant) { return matches(*variant, entry); });
  }
  if (found == variants_.end()) return nullptr;
  std::rotate(variants_.begin(), found, found + 1);
  return variants_.front().get();
}

std::vector<std::shared_ptr<const PlanScript>> Variants::alternatives_to(const Variant& variant,
                                                                         EntryState& entry) {
  std::vector<std::shared_ptr<const PlanScript>> result;
  for (const auto& other : variants_) {
    if (other.get() == &variant || other->script == nullptr || other->failure) continue;
    if (matches(*other, entry)) result.push_back(other->script);
  }
  return result;
}

std::shared_ptr<const PlanScript> Variants::script_of_other_sizes(EntryState& entry) const {
  for (const auto& variant : variants_) {
    const auto [num_missing, num_unexpected] = difference(*variant, entry.blocks());
    if (num_missing == num_unexpected && variant->script != nullptr) return variant->script;
  }
  return nullptr;
}

Variants::Place Variants::with_script(const PlanScript* script) {
  if (script == nullptr) return variants_.end();
  return std::find_if(variants_.begin(), variants_.end(),
                      [&](const auto& variant) { return variant->script.get() == script; });
}

Variants::Place Variants::with_form(std::optional<int> form) {
  if (!form) return variants_.end();
  return std::find_if(variants_.begin(), variants_.end(),
                      [&](const auto& variant) { return variant->form == *form; });
}

Variants::Place Variants::expected_next() {
  const auto last = with_form(last_form_);
  return last == variants_.end() ? last : with_form((*last)->followed_by);
}

void Variants::note_use(const PlanScript* script) {
  auto it = with_script(script);
  if (it != variants_.end()) std::rotate(variants_.begin(), it, it + 1);
}

void Variants::note_form(const PlanScript* script) {
  const auto last = with_form(last_form_);
  const auto now = with_script(script);
  last_form_.reset();
  if (now == variants_.end()) return;
  last_form_ = (*now)->form;
  if (last != variants_.end()) (*last)->followed_by = last_form_;
}

Variant& Variants::add(StepGraph graph, const std::vector<AllocationId>& active_at_entry,
                       EntryState& entry) {
  const std::set<AllocationId> active(active_at_entry.begin(), active_at_entry.end());
  auto variant = std::make_unique<Variant>();
  for (const LiveBlock& block : entry.blocks()) {
    const bool is_active = active.count(block.id) > 0;
    (is_active ? variant->active : variant->untouched).push_back(block.bytes);
    if (!is_active && entry.is_recent(block)) variant->left_behind.push_back(block.bytes);
  }
  std::sort(variant->active.begin(), variant->active.end());
  std::sort(variant->untouched.begin(), variant->untouched.end());
  std::sort(variant->left_behind.begin(), variant->left_behind.end());
  variant->live_bytes = graph.entry.total_bytes();  // with what the step was the first to touch
  variant->matching_live_hash = entry.live_hash();
  variant->graph_hash = graph_hash(graph);
  variant->form = num_forms_++;
  for (const auto& known : variants_) take_lesser_costs(graph, known->graph);
  for (auto it = variants_.begin(); it != variants_.end(); ++it) {
    const Variant& known = **it;
    if (known.graph_hash != variant->graph_hash || known.active != variant->active) continue;
    variant->form = known.form;
    variant->followed_by = known.followed_by;
    // Workspace and what backward does are no part of the hash, and may have settled since.
    if (known.script != nullptr && keeps_promise(*known.script, graph)) {
      variant->script = known.script;
    }
    variants_.erase(it);
    break;
  }
  variant->graph = std::move(graph);
  return **variants_.insert(variants_.begin(), std::move(variant));
}

}  // namespace tidemark
