#include "tidemark/plan/repair.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace tidemark {
namespace {

constexpr double kFavour = 30;
constexpr int kBlocks = 128;
constexpr int kMostPasses = 3;

}  // namespace

Repair::Repair(Residency& residency)
    : residency_(residency),
      graph_(residency.problem().graph()),
      is_favoured_(graph_.values.size(), 0),
      is_forbidden_(graph_.values.size(), 0),
      visited_(graph_.events.size(), 0) {
  const ResidencyFacts& facts = residency.facts();
  for (ValueIndex v = 0; v < graph_.num_values(); ++v) {
    const EventIndex producer = graph_.values[v].producer;
    if (facts.is_managed[v] && graph_.values[v].bytes > 0 &&
        residency.problem().is_replayable(producer))
      cuttable_.push_back(v);
  }
}

void Repair::favour(const std::vector<ValueIndex>& kept) {
  std::ranges::fill(is_favoured_, 0);
  for (ValueIndex v : kept) is_favoured_[v] = 1;
}

// Where the copy of `v` at `point` is used next, and since when it has not been.
Repair::Place Repair::place_of(ValueIndex v, int point) const {
  const ResidencyFacts& facts = residency_.facts();
  Place place;
  const auto use = [&](EventIndex at) {
    const int list = 2 * at;
    if (list <= point) {
      place.begin = std::max(place.begin, list + 1);
    } else if (place.next == kNone || at < place.next) {
      place.next = at;
    }
  };
  const EventIndex producer = graph_.values[v].producer;
  place.begin = 2 * producer + 1;
  for (Stretch held : facts.held[v])
    if (held.end <= point) place.begin = std::max(place.begin, held.end);
  for (EventIndex serve : facts.serves[v]) use(serve);
  for (EventIndex reader : residency_.problem().readers(v)) {
    const auto& runs = residency_.runs(reader);
    const auto past = std::ranges::upper_bound(runs, point / 2);
    if (past != runs.end()) use(*past);
    if (past != runs.begin()) use(*(past - 1));
  }
  const auto& runs = residency_.runs(producer);
  const auto past = std::ranges::upper_bound(runs, point / 2);
  if (past != runs.begin()) place.begin = std::max(place.begin, 2 * *(past - 1) + 1);
  return place;
}

// Bytes of overflow that the cut takes away, over the blocks of points that it covers.
double Repair::benefit(ValueIndex v, const Place& place, int point, Bytes budget) const {
  const auto bytes = graph_.values[v].bytes;
  const int first = (place.begin + points_per_block_ - 1) / points_per_block_;
  const int past = std::min(2 * place.next / points_per_block_,
                            static_cast<int>(block_peaks_.size()));
  const int own = point / points_per_block_;
  RangeTree::Number sum = 0;
  for (int block = first; block < past; ++block)
    sum += std::clamp<RangeTree::Number>(block_peaks_[block] - budget, 0, bytes);
  if (own < first || own >= past)
    sum += std::clamp<RangeTree::Number>(block_peaks_[own] - budget, 0, bytes);
  return static_cast<double>(sum);
}

bool Repair::can_stay_within(ValueIndex v, EventIndex at, Bytes budget) const {
  if (!residency_.can_stay(v, at)) return false;
  const int begin = residency_.last_point_before(v, at);
  return residency_.tree().most_in(begin, 2 * at + 1) + graph_.values[v].bytes <= budget;
}

// What must run at `at` so that `op` can. Fails where that costs more than `most_cost`.
bool Repair::find_closure(EventIndex op, EventIndex at, Bytes budget, double most_cost) {
  const Problem& problem = residency_.problem();
  closure_.assign(1, op);
  closure_cost_ns_ = 0;
  visited_[op] = ++visit_;
  for (std::size_t next = 0; next < closure_.size(); ++next) {
    const EventIndex here = closure_[next];
    if (!problem.is_replayable(here) || here >= at) return false;
    closure_cost_ns_ += graph_.events[here].cost_ns;
    if (static_cast<double>(closure_cost_ns_) > most_cost) return false;
    for (ValueIndex v : problem.reads(here)) {
      if (residency_.is_there(v, at)) continue;
      const EventIndex producer = graph_.values[v].producer;
      if (producer == kNone) return false;
      if (visited_[producer] == visit_ || residency_.is_listed(at, producer)) continue;
      if (can_stay_within(v, at, budget)) continue;
      const auto& restored = problem.restores(producer);
      if (std::ranges::find(restored, v) == restored.end()) return false;
      visited_[producer] = visit_;
      closure_.push_back(producer);
    }
  }
  return true;
}

Repair::Choice Repair::best_cut(int point, const RepairOptions& options) {
  points_per_block_ = residency_.tree().stride(kBlocks);
  residency_.tree().maxima(kBlocks, block_peaks_);
  Choice best{.score = std::numeric_limits<double>::infinity()};
  for (ValueIndex v : cuttable_) {
    if (!residency_.covers(v, point) || is_forbidden_[v]) continue;
    const Place place = place_of(v, point);
    // Used right there, or not to be used again and only waiting for its handles to go.
    if (place.next == kNone || place.begin > point || place.next == point / 2) continue;
    double weight = is_favoured_[v] ? kFavour : 1;
    if (options.noise > 0) {
      const double unit = static_cast<double>(random_()) / 4294967296.0;
      weight *= std::exp(options.noise * (2 * unit - 1));
    }
    const double per_cost = weight / std::max(benefit(v, place, point, options.budget), 1.0);
    const double most_cost = best.score / per_cost;
    const EventIndex producer = graph_.values[v].producer;
    if (residency_.is_listed(place.next, producer)) continue;
    if (!find_closure(producer, place.next, options.budget, most_cost)) continue;
    // Something must be paid for every cut, or one of no cost would be made again and again.
    const double score = std::max(static_cast<double>(closure_cost_ns_), 1.0) * per_cost;
    if (score < best.score) best = {v, place.next, score};
  }
  return best;
}

// What now runs at `at` need perhaps not run again soon after.
void Repair::share(EventIndex at, Bytes budget) {
  const std::vector<EventIndex> ops = closure_;
  for (EventIndex op : ops) {
    const auto& runs = residency_.runs(op);
    const auto next = std::ranges::upper_bound(runs, at);
    if (next == runs.end()) continue;
    const Rerun rerun{*next, op};
    if (!may_fit_without(rerun, budget)) continue;
    const std::size_t mark = residency_.log_size();
    if (!residency_.remove(rerun)) continue;
    if (residency_.tree().most_in(2 * at, 2 * rerun.at + 1) > budget) residency_.undo_to(mark);
  }
}

void Repair::apply(const Choice& choice, Bytes budget) {
  find_closure(graph_.values[choice.value].producer, choice.at, budget,
               std::numeric_limits<double>::infinity());
  residency_.add(choice.at, closure_);
  share(choice.at, budget);
}

bool Repair::cut(ValueIndex v, int point, Bytes budget) {
  if (!residency_.covers(v, point)) return false;
  const Place place = place_of(v, point);
  const EventIndex producer = graph_.values[v].producer;
  if (place.next == kNone || place.begin > point || residency_.is_listed(place.next, producer))
    return false;
  if (!find_closure(producer, place.next, budget, std::numeric_limits<double>::infinity()))
    return false;
  residency_.add(place.next, closure_);
  share(place.next, budget);
  return true;
}

bool Repair::fit(const RepairOptions& options) {
  random_.seed(options.seed);
  int num_cuts = 0;
  // Cuts that raise another point and are undone by sharing could go on without end.
  const int most_cuts = 64 + 4 * static_cast<int>(cuttable_.size());
  while (residency_.peak_bytes() > options.budget) {
    if (residency_.cost_ns() > options.most_cost_ns || num_cuts > most_cuts) return false;
    const Choice choice = best_cut(residency_.peak_point(), options);
    if (choice.value == kNone) return false;
    apply(choice, options.budget);
    ++num_cuts;
  }
  return true;
}

// Whether the room for what the replay serves may be there: what it reads may go then.
bool Repair::may_fit_without(Rerun rerun, Bytes budget) const {
  const Problem& problem = residency_.problem();
  Bytes room = budget;
  for (ValueIndex v : problem.reads(rerun.op))
    if (residency_.facts().is_managed[v]) room += graph_.values[v].bytes;
  return std::ranges::all_of(problem.restores(rerun.op), [&](ValueIndex v) {
    const bool is_used = residency_.covers(v, 2 * rerun.at + 1) ||
                         std::ranges::binary_search(residency_.facts().serves[v], rerun.at);
    if (!is_used) return true;
    const int begin = residency_.last_point_before(v, rerun.at);
    return residency_.tree().most_in(begin, 2 * rerun.at) + graph_.values[v].bytes <= room;
  });
}

void Repair::clean_up(Bytes budget) {
  for (int pass = 0; pass < kMostPasses; ++pass) {
    const std::int64_t before = residency_.num_replays();
    std::vector<Rerun> reruns;
    for (EventIndex at = 0; at < graph_.num_events(); ++at)
      for (EventIndex op : residency_.list(at)) reruns.push_back({at, op});
    clean_up(budget, std::move(reruns));
    if (residency_.num_replays() == before) return;
  }
}

void Repair::clean_up(Bytes budget, std::vector<Rerun> reruns) {
  std::ranges::stable_sort(reruns, std::greater{},
                           [&](Rerun r) { return graph_.events[r.op].cost_ns; });
  for (Rerun rerun : reruns) {
    if (!residency_.is_listed(rerun.at, rerun.op) || !may_fit_without(rerun, budget)) continue;
    const std::size_t mark = residency_.log_size();
    if (residency_.remove(rerun) && residency_.peak_bytes() > budget) residency_.undo_to(mark);
  }
}

}  // namespace tidemark
