#include "tidemark/plan/repair.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace tidemark {
namespace {

constexpr double kFavour = 30;
constexpr int kBlocks = 128;
constexpr Bytes kNoLimit = std::numeric_limits<Bytes>::max() / 4;
constexpr int kDeepest = 6;  // chain of replays that may go with one
// What a scan costs, in steps of Residency::work().
constexpr int kScannedPerStep = 16;
constexpr int kStepsPerPlace = 4;

}  // namespace

Repair::Repair(Residency& residency, std::function<bool()> stop)
    : residency_(residency),
      stop_(std::move(stop)),
      graph_(residency.problem().graph()),
      is_favoured_(graph_.values.size(), 0),
      is_forbidden_(graph_.values.size(), 0),
      is_futile_(graph_.values.size(), 0),
      closure_(residency),
      mover_(residency) {
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
  const int past =
      std::min(2 * place.next / points_per_block_, static_cast<int>(block_peaks_.size()));
  const int own = point / points_per_block_;
  RangeTree::Number sum = 0;
  for (int block = first; block < past; ++block)
    sum += std::clamp<RangeTree::Number>(block_peaks_[block] - budget, 0, bytes);
  if (own < first || own >= past)
    sum += std::clamp<RangeTree::Number>(block_peaks_[own] - budget, 0, bytes);
  return static_cast<double>(sum);
}

// The stretch of `v` to cut so that it adds less to the peak at `point`, if it has one.
Repair::Place Repair::place_at(ValueIndex v, int point) const {
  if (residency_.covers(v, point)) {
    const Place place = place_of(v, point);
    if (place.begin <= point) return place;
    // The list of replays that uses it may restore it, later than its beginning.
    return residency_.covers(v, point - 1) ? place_of(v, point - 1) : Place{};
  }
  // What a list restores for later.
  if (point % 2 == 0 && residency_.covers(v, point + 1)) return place_of(v, point + 1);
  return {};
}

// What must run at `at` so that `v` need not lie in memory until then. What it reads may stay in
// the room that `v` leaves if it cannot be had otherwise.
bool Repair::find_closure_instead_of(ValueIndex v, EventIndex at, Bytes budget, double most_cost) {
  const EventIndex op = graph_.values[v].producer;
  return closure_.find(op, at, budget, most_cost) ||
         (!closure_.is_too_dear() &&
          closure_.find(op, at, budget + graph_.values[v].bytes, most_cost));
}

// Returns a number in [0, 1).
double Repair::random() { return static_cast<double>(random_()) / 4294967296.0; }

Repair::Choice Repair::best_cut(int point, const RepairOptions& options) {
  points_per_block_ = residency_.tree().stride(kBlocks);
  residency_.tree().maxima(kBlocks, block_peaks_);
  Choice best{.score = std::numeric_limits<double>::infinity()};
  residency_.add_work(static_cast<std::int64_t>(cuttable_.size()) / kScannedPerStep + kBlocks);
  for (ValueIndex v : cuttable_) {
    if (!residency_.is_near(v, point) || is_forbidden_[v] || is_futile_[v]) continue;
    if (options.left_out > 0 && random() < options.left_out) continue;
    residency_.add_work(kStepsPerPlace);
    const Place place = place_at(v, point);
    if (place.next == kNone) continue;
    double weight = is_favoured_[v] ? kFavour : 1;
    if (options.noise > 0) weight *= std::exp(options.noise * (2 * random() - 1));
    const double per_cost = weight / std::max(benefit(v, place, point, options.budget), 1.0);
    const double most_cost = best.score / per_cost;
    const EventIndex producer = graph_.values[v].producer;
    if (residency_.is_listed(place.next, producer)) continue;
    if (!find_closure_instead_of(v, place.next, options.budget, most_cost)) continue;
    // Something must be paid for every cut, or one of no cost would be made again and again.
    const double score = std::max(static_cast<double>(closure_.cost_ns()), 1.0) * per_cost;
    if (score < best.score) best = {v, place.next, score};
  }
  return best;
}

// What now runs at `at` need perhaps not run again soon after.
void Repair::share(EventIndex at, Bytes budget) {
  const std::vector<EventIndex> ops = closure_.ops();
  for (EventIndex op : ops) {
    const auto& runs = residency_.runs(op);
    const auto next = std::ranges::upper_bound(runs, at);
    if (next == runs.end()) continue;
    remove_if_fits({*next, op}, budget, 0);
  }
}

void Repair::apply(const Choice& choice, Bytes budget) {
  find_closure_instead_of(choice.value, choice.at, budget, Closure::kNoLimit);
  residency_.add(choice.at, closure_.ops());
  share(choice.at, budget);
}

bool Repair::cut(ValueIndex v, int point, Bytes budget) {
  if (!residency_.covers(v, point)) return false;
  const Place place = place_of(v, point);
  const EventIndex producer = graph_.values[v].producer;
  if (place.next == kNone || place.begin > point || residency_.is_listed(place.next, producer))
    return false;
  if (!find_closure_instead_of(v, place.next, budget, Closure::kNoLimit)) return false;
  residency_.add(place.next, closure_.ops());
  share(place.next, budget);
  return true;
}

// Computes again earlier what is computed again at the peak.
bool Repair::move_list(int point, Bytes most, std::int64_t most_work) {
  return point % 2 == 0 && mover_.move_earlier(point / 2, most, most_work);
}

bool Repair::fit(const RepairOptions& options) {
  random_.seed(options.seed);
  for (ValueIndex v : futile_) is_futile_[v] = 0;
  futile_.clear();
  int num_cuts = 0;
  // Cuts that raise another point and are undone by sharing could go on without end.
  const int most_cuts = 64 + 4 * static_cast<int>(cuttable_.size());
  const std::int64_t begin = residency_.work();
  const auto work_left = [&] { return options.most_work - (residency_.work() - begin); };
  while (residency_.peak_bytes() > options.budget) {
    if (residency_.cost_ns() > options.most_cost_ns || num_cuts > most_cuts) return false;
    if (work_left() < 0 || is_stopped()) return false;
    const int point = residency_.peak_point();
    const Bytes peak = residency_.peak_bytes();
    ++num_cuts;
    if (move_list(point, options.budget, work_left())) continue;
    Choice choice = best_cut(point, options);
    if (choice.value == kNone && options.left_out > 0) {
      // All there were may have been left out.
      RepairOptions all = options;
      all.left_out = 0;
      choice = best_cut(point, all);
    }
    if (choice.value == kNone) {
      if (!move_list(point, peak - 1, work_left())) return false;
      continue;
    }
    const std::size_t mark = residency_.log_size();
    apply(choice, options.budget);
    if (residency_.tree().most_in(point, point + 1) >= peak) {
      // What it takes to have the value again takes as much itself.
      residency_.undo_to(mark);
      is_futile_[choice.value] = 1;
      futile_.push_back(choice.value);
      continue;
    }
    for (ValueIndex v : futile_) is_futile_[v] = 0;
    futile_.clear();
    if (options.cuts_per_clean_up > 0 && num_cuts % options.cuts_per_clean_up == 0)
      clean_up(options.budget, 0, work_left());
  }
  return true;
}

// What would have to stay instead of the replay, and where.
Repair::Instead Repair::instead_of(Rerun rerun) const {
  Instead instead{{2 * rerun.at, 2 * rerun.at + 1}, std::numeric_limits<Bytes>::max()};
  const Problem& problem = residency_.problem();
  for (ValueIndex v : problem.restores(rerun.op)) {
    if (residency_.last_use_of(rerun, v) == kNone) continue;
    instead.least_bytes = std::min(instead.least_bytes, graph_.values[v].bytes);
    instead.points.begin =
        std::min(instead.points.begin, residency_.last_point_before(v, rerun.at));
  }
  return instead;
}

// Whether another replay of the same list, or something later, uses the copy of `v` that it reads.
bool Repair::is_used_besides(ValueIndex v, Rerun rerun) const {
  if (residency_.covers(v, 2 * rerun.at + 1)) return true;
  return std::ranges::any_of(residency_.problem().readers(v), [&](EventIndex reader) {
    return reader != rerun.op && residency_.is_listed(rerun.at, reader);
  });
}

// No more bytes than this leave memory at any point before the replay if it is taken away, and with
// it what was there for its sake alone.
Bytes Repair::most_released(Rerun rerun, int depth) const {
  if (depth == 0) return kNoLimit;
  Bytes sum = 0;
  for (ValueIndex v : residency_.problem().reads(rerun.op)) {
    if (!residency_.facts().is_managed[v] || is_used_besides(v, rerun)) continue;
    const EventIndex producer = graph_.values[v].producer;
    const auto& runs = residency_.runs(producer);
    const auto past = std::ranges::upper_bound(runs, rerun.at);
    // Its copy came from a replay, which may go too: before that, what the replay reads leaves.
    const Bytes before =
        past == runs.begin() ? 0 : most_released({*(past - 1), producer}, depth - 1);
    sum += std::max(before, residency_.covers(v, 2 * rerun.at) ? graph_.values[v].bytes : 0);
    if (sum >= kNoLimit) return kNoLimit;
  }
  return sum;
}

// Takes the replay away if what stays instead fits: what it reads may go then.
bool Repair::remove_if_fits(Rerun rerun, Bytes budget, Nanoseconds least_cost_ns) {
  const Instead instead = instead_of(rerun);
  if (instead.least_bytes < std::numeric_limits<Bytes>::max()) {
    const auto peak = residency_.tree().most_in(instead.points.begin, 2 * rerun.at);
    const Bytes excess = peak + instead.least_bytes - budget;
    if (excess > 0 && excess > most_released(rerun, kDeepest)) return false;
  }
  const std::size_t mark = residency_.log_size();
  const Bytes most = std::max(budget, residency_.peak_bytes());
  if (!residency_.remove(rerun)) return false;
  if (residency_.tree().most_in(instead.points.begin, instead.points.end) <= budget &&
      residency_.peak_bytes() <= most && residency_.cost_ns() >= least_cost_ns)
    return true;
  residency_.undo_to(mark);
  return false;
}

void Repair::clean_up(Bytes budget, Nanoseconds least_cost_ns, std::int64_t most_work) {
  std::vector<Rerun> reruns;
  for (EventIndex at = 0; at < graph_.num_events(); ++at)
    for (EventIndex op : residency_.list(at)) reruns.push_back({at, op});
  clean_up(budget, least_cost_ns, std::move(reruns), most_work);
}

void Repair::clean_up(Bytes budget, Nanoseconds least_cost_ns, std::vector<Rerun> reruns,
                      std::int64_t most_work) {
  const std::int64_t begin = residency_.work();
  std::ranges::stable_sort(reruns, std::greater{},
                           [&](Rerun r) { return graph_.events[r.op].cost_ns; });
  for (Rerun rerun : reruns) {
    if (residency_.work() - begin > most_work || is_stopped()) return;
    if (residency_.is_listed(rerun.at, rerun.op)) remove_if_fits(rerun, budget, least_cost_ns);
  }
}

}  // namespace tidemark
