#include "tidemark/plan/core_search.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "tidemark/plan/floor.h"
#include "tidemark/plan/online_planner.h"
#include "tidemark/plan/ruin.h"

namespace tidemark {
namespace {

// So near to what no plan can beat that looking on is not worth its time.
constexpr double kNearBound = 1.001;
// Nothing to win but less than this part of the step's time is as good as nothing.
constexpr double kTrifle = 2e-4;
// In steps of up to so many events not even that is left to other policies, which are asked without
// a limit to their work: in larger ones that takes several times as long as all else does.
constexpr int kEventsToAskForTrifles = 1200;
// A gain of this part of the step's time is worth all of the work.
constexpr double kMuch = 0.02;
// What ruin and recreate may take for one budget, as Residency::work() counts: small steps can
// afford more per event, very large ones less.
constexpr double kLeastSteps = 5e5;
constexpr double kStepsPerEvent = 150;
constexpr double kMostSteps = 4e6;
// The same for a budget that is asked for, after all else.
constexpr double kRefinementPerEvent = 1.5e4;
constexpr double kMostRefinement = 5e7;
// Steps with fewer events have time to begin again so often, each for this part of the refinement.
constexpr int kFewEvents = 2000;
constexpr int kFreshStarts = 4;
constexpr double kFreshPart = 0.25;
constexpr double kFreshNoise = 0.6;
// So much must be left to win before policies are asked that take long to make their schedules.
constexpr double kWorthSlow = 0.005;
// What another policy may cost in multiples of the best to be improved beside it.
constexpr double kSlackOfRival = 1.05;
// What costs this many times the best before it is cleaned up is not followed any further.
constexpr double kSlack = 1.2;
// What one repair may take, in multiples of what ruin and recreate may, and up to how many events
// one from scratch is tried: its time is that of all cuts times all values.
constexpr std::int64_t kFitWork = 2;
constexpr int kMostEventsToFit = 10000;
// Below so many times the floor the frontier program and the budget continuation take part if so
// much may be left to win; further up only where there is no plan.
constexpr double kNearFloor = 2.5;
constexpr double kWorthDescent = 0.05;
// What both may take for all budgets together, in multiples of what ruin and recreate may for one;
// in small steps per event squared, and in large ones, where all else takes long, divided by their
// events.
constexpr std::int64_t kNearFloorWork = 30;
constexpr std::int64_t kNearFloorWorkOfSmall = 20;
constexpr std::int64_t kNearFloorWorkOfLarge = 60'000'000'000;
// The part of it that the way down to the least budget may take, and those of what is left that
// each does for one budget: the first is the lowest, and the dearest ones are not only there.
constexpr std::int64_t kLowestPart = 4;
constexpr std::int64_t kFrontierPart = 4;
constexpr std::int64_t kDescentPart = 2;
// What its passes as a policy of its own may take per event in larger steps than those.
constexpr std::int64_t kAllParametersWork = 2500;
// Passes of the executor where nothing else has found a plan: in large steps not all of them.
constexpr int kEventsTimesForcedPasses = 100000;
// Beyond so many one plan takes long enough, and the schedules of published policies take too long
// to simulate.
constexpr int kMostEventsToRefine = 100000;
constexpr Nanoseconds kEndless = std::numeric_limits<Nanoseconds>::max();
// Schedules with more replays per event take longer to clean up than to find better ones.
constexpr std::int64_t kMostReplaysToClean = 2;
// Parts of the room at the peak that a keep set fills; the rest is for replays to come.
constexpr double kWide = 0.95;
// Those passes that win most often on generated models, each beside those before it.
constexpr CoreSearch::Pass kPasses[] = {
    {{.alpha = 0.7, .beta = 0.5}, 1},
    {{.alpha = 1, .beta = 0.5}, 0.55},
    {{.alpha = 1, .beta = 1, .headroom = 0.1}, 0.7},
    {{.alpha = 0.7, .beta = 0}, 0.9},
    {{.alpha = 0.7, .beta = 0.5}, 0.4},
    {{.alpha = 1, .beta = 0.5, .gamma = 0.6}, 0.95},
    {{.alpha = 1, .beta = 0.5, .gamma = 0.6, .headroom = 0.1}, 0},
    {{.alpha = 0.7, .beta = 0, .headroom = 0.1}, 0.95},
    {{.alpha = 0.7, .beta = 0}, 1},
    {{.alpha = 0.7, .beta = 1, .headroom = 0.1}, 0},
    {{.alpha = 0.7, .beta = 1}, 1},
    {{.alpha = 0.7, .beta = 0.5, .headroom = 0.1}, 0},
};
constexpr int kNumPasses = std::size(kPasses);
// What one pass may take per event, once there is a plan: near the floor one took ten seconds.
constexpr std::int64_t kPassWork = 400;
// What makes the most of a keep set, and the parts of the room that one is tried for, as long as
// they get better; then come some around the best.
constexpr LookaheadParameters kGuided{.alpha = 0.7, .beta = 1};
constexpr double kShares[] = {1, 0.95, 0.9, 0.8, 0.65, 0.45};
constexpr double kWidestStep = 0.025;
constexpr double kNarrowestStep = 0.003;
// What all of them together may take per event.
constexpr std::int64_t kGuidedWork = 800;
// The moments whose keep sets are tried, and what must be left to win for all but the highest.
constexpr std::size_t kGuideMoments = 4;
constexpr double kWorthMoments = 0.01;
// Passes per search: the next search, for half the difference in memory, goes on with the next.
// Small steps can afford more.
constexpr int kLeastPasses = 3;
constexpr int kEventsTimesPasses = 4000;

}  // namespace

CoreSearch::CoreSearch(Workbench& bench, CoreOptions options)
    : bench_(bench),
      options_(std::move(options)),
      floor_bytes_(memory_floor(bench.problem()).bytes),
      work_(most_work()),
      residency_(bench.facts()),
      repair_(residency_, options_.stop),
      continuation_(residency_, repair_),
      near_floor_work_(options_.with_descents ? most_near_floor_work() : 0) {}

int CoreSearch::num_events() const { return bench_.problem().graph().num_events(); }

std::int64_t CoreSearch::most_work() const {
  const double steps = std::min(kMostSteps, kLeastSteps + kStepsPerEvent * num_events());
  return static_cast<std::int64_t>(steps * options_.effort);
}

std::int64_t CoreSearch::most_refinement() const {
  const double steps = std::min(kMostRefinement, kRefinementPerEvent * num_events());
  return static_cast<std::int64_t>(steps * options_.effort);
}

std::int64_t CoreSearch::most_near_floor_work() const {
  const auto n = static_cast<std::int64_t>(num_events());
  return std::min({kNearFloorWork * work_, kNearFloorWorkOfSmall * n * n,
                   kNearFloorWorkOfLarge / std::max<std::int64_t>(n, 1)});
}

// What a cheaper plan could save at most, as a part of the step's time.
double CoreSearch::most_gain() const {
  if (!best_) return 1;
  const Nanoseconds least = std::max(
      least_cost_ns_, static_cast<Nanoseconds>(static_cast<double>(bound_ns_) * kNearBound));
  return static_cast<double>(best_->cost_ns - least) /
         static_cast<double>(std::max<Nanoseconds>(1, bench_.problem().unplanned().step_ns));
}

bool CoreSearch::is_done() const { return is_stopped() || most_gain() < kTrifle; }

// Whether no other policy is worth asking.
bool CoreSearch::is_unrivalled() const {
  return is_stopped() || (best_ && best_->cost_ns <= std::max(least_cost_ns_, bound_ns_));
}

void CoreSearch::favour(double share) {
  repair_.favour(share > 0 ? bench_.bound().keep_set(budget_, share) : std::vector<ValueIndex>{});
}

// Remembers the residency's schedule if it is the cheapest.
void CoreSearch::keep(std::string_view policy) {
  const Nanoseconds cost = residency_.cost_ns();
  if (cost < least_cost_ns_ || (best_ && best_->cost_ns <= cost)) return;
  best_ = Kept{residency_.schedule(), cost, policy};
}

void CoreSearch::offer(std::string_view policy) {
  if (residency_.peak_bytes() > budget_) return;
  const bool is_worth = residency_.num_replays() <= kMostReplaysToClean * num_events();
  if (is_worth) repair_.clean_up(budget_, least_cost_ns_, work_);
  keep(policy);
}

void CoreSearch::loosen(const Found& below) {
  residency_.load(below.candidate.schedule);
  keep(below.policy);
  offer(below.policy);
}

// What is much dearer than the best before it is cleaned up will not be the best after.
Nanoseconds CoreSearch::most_cost_ns() const {
  if (!best_) return kEndless;
  return static_cast<Nanoseconds>(static_cast<double>(best_->cost_ns) * kSlack);
}

void CoreSearch::tighten(const Found& above, int cuts_per_clean_up) {
  residency_.load(above.candidate.schedule);
  if (repair_.fit({.budget = budget_,
                   .most_cost_ns = most_cost_ns(),
                   .most_work = kFitWork * work_,
                   .cuts_per_clean_up = cuts_per_clean_up}))
    offer("mincut");
}

// Where the quick ways find nothing or, next to the floor, nothing good.
void CoreSearch::construct_near_floor(const Found& above) {
  static constexpr Skeleton kSkeletons[] = {{50, 1},    {50, 1.15},  {50, 0.9},  {100, 1},
                                            {100, 1.3}, {100, 0.85}, {50, 1.75}, {100, 2.1}};
  const std::int64_t begin = residency_.work();
  for (const Skeleton& skeleton : kSkeletons)
    if (is_near_floor() && residency_.work() - begin < near_floor_work_ / kFrontierPart)
      follow(skeleton);
  near_floor_work_ -= residency_.work() - begin;
  if (is_near_floor()) descend(above);
}

bool CoreSearch::is_near_floor() const {
  if (num_events() > kMostEventsToFit || is_stopped() || near_floor_work_ <= 0) return false;
  const auto near = static_cast<Bytes>(kNearFloor * static_cast<double>(floor_bytes_));
  return !best_ || (budget_ < near && most_gain() > kWorthDescent);
}

// Skeletons are rough, so they are made to fit afterwards, whatever they are made for.
void CoreSearch::follow(const Skeleton& skeleton) {
  const FrontierProgram& program = bench_.frontier_program(skeleton.windows);
  const auto room = static_cast<double>(budget_ - program.fixed_bytes());
  const auto schedule =
      program.schedule(program.fixed_bytes() + static_cast<Bytes>(skeleton.share * room));
  residency_.add_work(program.work());
  if (!schedule) return;
  residency_.load(*schedule);
  if (repair_.fit({.budget = budget_, .most_cost_ns = most_cost_ns(), .most_work = work_}))
    offer("mincut");
}

void CoreSearch::descend(const Found& above) {
  const std::int64_t begin = residency_.work();
  continuation_.begin_with(above.candidate.schedule, above.peak_bytes(), above.cost_ns());
  const Continuation::Rung* rung = continuation_.reach({.budget = budget_,
                                                        .work = near_floor_work_ / kDescentPart,
                                                        .repair_work = work_,
                                                        .stop = options_.stop});
  near_floor_work_ -= residency_.work() - begin;
  if (rung == nullptr) return;
  residency_.load(rung->schedule);
  offer("mincut");
}

std::optional<Found> CoreSearch::lowest_below(const Found& from) {
  continuation_.begin_with(from.candidate.schedule, from.peak_bytes(), from.cost_ns());
  continuation_.reach({.budget = floor_bytes_,
                       .work = most_near_floor_work() / kLowestPart,
                       .repair_work = work_,
                       .stop = options_.stop});
  auto candidate = judge(bench_.problem(), continuation_.lowest().schedule);
  if (!candidate || candidate->simulation.peak_bytes >= from.peak_bytes()) return std::nullopt;
  return Found{std::move(*candidate), "mincut"};
}

void CoreSearch::fit_from_scratch(double share, double noise) {
  favour(share);
  residency_.load({});
  if (repair_.fit({.budget = budget_,
                   .most_cost_ns = most_cost_ns(),
                   .most_work = kFitWork * work_,
                   .noise = noise}))
    offer("mincut");
  favour(0);
}

void CoreSearch::follow(const Pass& pass, Bytes limit, Nanoseconds most_cost_ns) {
  LookaheadOptions options{.most_cost_ns = most_cost_ns, .stop = options_.stop};
  if (best_) options.most_work = kPassWork * num_events();
  if (pass.share > 0) options.favoured = bench_.bound().keep_set(budget_, pass.share, pass.moment);
  std::int64_t work = 0;
  const auto schedule = bench_.lookahead().run(limit, pass.parameters, options, work);
  residency_.add_work(work);
  if (!schedule) return;
  residency_.load(*schedule);
  offer("lookahead");
}

// How much of the room the keep set may take before replays find none is seen only by trying.
void CoreSearch::follow_keep_sets(std::size_t moment) {
  const std::int64_t last_work = residency_.work() + kGuidedWork * num_events();
  double share_of_best = 0;
  const auto follow_share = [&](double share) {
    if (is_done() || most_gain() < kWorthSlow || residency_.work() > last_work) return false;
    const Nanoseconds before = best_ ? best_->cost_ns : kEndless;
    follow({kGuided, share, moment}, budget_, most_cost_ns());
    const bool is_better = best_ && best_->cost_ns < before;
    if (is_better) share_of_best = share;
    return is_better;
  };
  for (double share : kShares)
    if (!follow_share(share) && share_of_best > 0) break;
  for (double step = kWidestStep; share_of_best > 0 && step > kNarrowestStep; step /= 2)
    if (!follow_share(share_of_best + step)) follow_share(share_of_best - step);
}

void CoreSearch::construct(int depth) {
  if (num_events() <= kMostEventsToFit && !is_done()) fit_from_scratch(depth % 2 == 0 ? 0 : kWide);
  const int least = num_events() <= kMostEventsToFit ? kLeastPasses : 1;
  const int count = std::clamp(kEventsTimesPasses / num_events(), least, kNumPasses);
  for (int i = 0; i < kNumPasses && !is_done(); ++i) {
    if (i >= count && best_) break;
    const Pass& pass = kPasses[(depth * count + i) % kNumPasses];
    follow(pass, budget_, most_cost_ns());
  }
}

// What the published policies have ready and is cheaper than all so far, and than `below_ns`.
void CoreSearch::meet_ready_rivals(Nanoseconds below_ns) {
  const bool is_large = num_events() > kEventsToAskForTrifles;
  for (const ReadyPolicy& policy : ready_policies()) {
    if (is_unrivalled() || (is_large && is_done())) return;
    if (policy.is_slow && (num_events() > kMostEventsToFit || most_gain() < kWorthSlow)) continue;
    const Rival* rival =
        bench_.rivals().cheapest(policy, {.budget = budget_,
                                          .least_cost_ns = std::max(least_cost_ns_, bound_ns_),
                                          .below_ns = best_ ? best_->cost_ns : below_ns});
    if (rival == nullptr) continue;
    residency_.load(rival->schedule);
    keep(policy.name);
    offer(policy.name);
  }
}

void CoreSearch::follow_all_parameters(Nanoseconds most_cost_ns) {
  const std::int64_t last_work = residency_.work() + kAllParametersWork * num_events();
  const bool is_limited = num_events() > kEventsToAskForTrifles;
  for (const LookaheadParameters& parameters : lookahead_parameters()) {
    if (is_unrivalled() || (is_limited && (is_done() || residency_.work() > last_work))) return;
    follow({parameters}, budget_, most_cost_ns);
  }
}

void CoreSearch::meet_online_rivals(Nanoseconds most_cost_ns) {
  for (const OnlinePolicy& policy : kOnlinePolicies) {
    if (is_unrivalled()) return;
    const auto plan =
        online_plan(bench_.problem(), budget_, policy.score, options_.stop, most_cost_ns);
    if (!plan) continue;
    residency_.load(plan->schedule);
    offer(policy.name);
  }
}

void CoreSearch::meet_rivals(Nanoseconds below_ns, Nanoseconds most_cost_ns) {
  meet_ready_rivals(below_ns);
  if (num_events() > kMostEventsToFit) return;
  meet_online_rivals(most_cost_ns);
  follow_all_parameters(most_cost_ns);
}

// Returns the cheapest schedule of another policy, if it is cheaper than the best. Where there is
// much to win one that is a little dearer counts, too: it may come down further.
std::optional<CoreSearch::Kept> CoreSearch::cheapest_rival() {
  const std::optional<Kept> own = best_;
  const Nanoseconds most = num_events() <= kEventsToAskForTrifles ? kEndless
                           : is_done()                            ? own->cost_ns - 1
                                                                  : most_cost_ns();
  Nanoseconds below = own ? own->cost_ns : kEndless;
  if (own && most_gain() > kWorthSlow) {
    below = static_cast<Nanoseconds>(static_cast<double>(below) * kSlackOfRival);
    best_.reset();
  }
  meet_rivals(below, most);
  const std::optional<Kept> rival = std::exchange(best_, own);
  return rival && rival->cost_ns < below ? rival : std::nullopt;
}

void CoreSearch::keep_cheaper(const std::optional<Kept>& other) {
  if (other && (!best_ || other->cost_ns <= best_->cost_ns)) best_ = other;
}

// Small steps have few ways to change a plan: where one hangs, another beginning may not.
void CoreSearch::start_afresh() {
  if (num_events() > kFewEvents) return;
  for (int i = 0; i < kFreshStarts && !is_done(); ++i) {
    const std::optional<Kept> known = std::exchange(best_, std::nullopt);
    fit_from_scratch(i % 2 == 0 ? 0 : kWide, i < 2 ? 0 : kFreshNoise);
    improve(static_cast<std::int64_t>(kFreshPart * static_cast<double>(most_refinement())));
    keep_cheaper(known);
  }
}

std::optional<Found> CoreSearch::refine(const Found* known, Bytes budget) {
  if (num_events() > kMostEventsToRefine) return std::nullopt;
  const Nanoseconds bound = bench_.bound().at(budget);
  // There is no plan.
  if (bound == kEndless) return std::nullopt;
  if (options_.told) options_.told(budget);
  begin(budget, 0, bound);
  if (known != nullptr) {
    residency_.load(known->candidate.schedule);
    keep(known->policy);
  }
  start_afresh();
  const std::optional<Kept> rival =
      options_.with_baselines && !is_unrivalled() ? cheapest_rival() : std::nullopt;
  const std::int64_t work = most_refinement() / (rival ? 2 : 1);
  improve(work);
  if (rival) {
    const std::optional<Kept> improved = std::exchange(best_, rival);
    improve(work);
    keep_cheaper(improved);
  }
  auto best = found();
  const bool is_better = best && (known == nullptr || best->cost_ns() < known->cost_ns());
  return is_better ? std::move(best) : std::nullopt;
}

// For budgets where the quick ways lead nowhere: the first plan will do. What the executor finds
// for a little less may fit, and without costs in its score it does not hang on how they were
// measured.
void CoreSearch::construct_by_force() {
  int num_left = 1 + kEventsTimesForcedPasses / num_events();
  const auto is_needed = [&] { return !best_ && !is_done() && num_left-- > 0; };
  for (double share : {1.0, 0.97, 0.94, 0.9}) {
    const auto limit = static_cast<Bytes>(static_cast<double>(budget_) * share);
    for (double beta : {1.0, 0.5, 0.0})
      if (is_needed()) follow({{.beta = beta, .gamma = 0}}, limit, kEndless);
    for (const LookaheadParameters& parameters : lookahead_parameters())
      if (is_needed()) follow({parameters}, limit, kEndless);
  }
}

// Ruin and recreate, the longer the more there is to win.
void CoreSearch::improve(std::int64_t work) {
  if (!best_ || is_done()) return;
  residency_.load(best_->schedule);
  const double share = std::min(1.0, most_gain() / kMuch);
  Ruin(residency_)
      .run({.budget = budget_,
            .work = static_cast<std::int64_t>(static_cast<double>(work) * share),
            .enough_ns = std::max(least_cost_ns_, bound_ns_),
            .stop = options_.stop});
  keep(best_->policy);
}

// Costs rise ever faster with every byte less: half-way between two budgets a plan of half the
// difference in cost is as good as those are.
bool CoreSearch::is_between_neighbours(const Found* below, const Found& above) const {
  if (below == nullptr || !best_) return false;
  return best_->cost_ns - above.cost_ns() <= (below->cost_ns() - above.cost_ns()) / 2;
}

void CoreSearch::begin(Bytes budget, Nanoseconds least_cost_ns, Nanoseconds bound_ns) {
  budget_ = budget;
  least_cost_ns_ = least_cost_ns;
  bound_ns_ = bound_ns;
  best_.reset();
}

std::optional<Found> CoreSearch::look_at_once(Bytes budget) {
  begin(budget, 0, bench_.bound().at_peak(budget));
  int num_left = 1 + kEventsTimesForcedPasses / num_events();
  for (const LookaheadParameters& parameters : lookahead_parameters()) {
    if (best_ || num_left-- == 0) break;
    follow({parameters}, budget, kEndless);
    if (is_stopped()) break;
  }
  for (std::size_t moment = 0; moment < kGuideMoments; ++moment)
    if (moment == 0 || most_gain() > kWorthMoments) follow_keep_sets(moment);
  return found();
}

std::optional<Found> CoreSearch::found() const {
  if (!best_) return std::nullopt;
  auto candidate = judge(bench_.problem(), best_->schedule);
  if (!candidate || candidate->simulation.peak_bytes > budget_) return std::nullopt;
  return Found{std::move(*candidate), std::string(best_->policy)};
}

std::optional<Found> CoreSearch::run(Bytes budget, const Found* below, const Found& above,
                                     int depth) {
  if (options_.told) options_.told(budget);
  begin(budget, above.cost_ns(), bench_.bound().at_peak(budget));
  if (below != nullptr) loosen(*below);
  const bool is_quick = num_events() <= kMostEventsToFit || !above.candidate.schedule.empty();
  if (is_quick && !is_done()) tighten(above, 0);
  if (!is_between_neighbours(below, above)) construct(depth);
  if (!best_) tighten(above, 8);
  construct_near_floor(above);
  if (!best_) construct_by_force();
  improve(work_);
  if (auto best = found()) return best;
  return below != nullptr ? std::optional(*below) : std::nullopt;
}

}  // namespace tidemark
