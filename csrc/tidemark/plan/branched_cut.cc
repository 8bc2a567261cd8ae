#include "tidemark/plan/branched_cut.h"

#include <algorithm>
#include <iterator>
#include <queue>
#include <vector>

namespace tidemark {
namespace {

// Prices that one half is asked for.
constexpr int kMostPrices = 8;

// Choices with some ops decided.
struct Half {
  double least = 0;  // no choice costs less
  double price = 0;  // that proves it
  std::vector<RunAgain> decided;
  EventIndex next_op = kNone;  // to decide next; kNone: nothing is left to
};

class Branching {
 public:
  Branching(const Problem& problem, const KeepCut& cut, Bytes room)
      : problem_(problem), cut_(cut), room_(static_cast<double>(room)) {}

  Nanoseconds run(Nanoseconds enough, std::int64_t most_cuts) {
    // Nothing costs more than everything: above that no choice fits.
    const double most = std::min(static_cast<double>(enough), cut_.highest_price());
    const auto is_above = [](const Half& a, const Half& b) { return a.least > b.least; };
    std::priority_queue<Half, std::vector<Half>, decltype(is_above)> open(is_above);
    Half all;
    look_at(all);
    open.push(std::move(all));
    while (open.top().least < most && open.top().next_op != kNone && num_cuts_ < most_cuts) {
      const Half whole = open.top();
      open.pop();
      for (const bool is_run : {false, true}) {
        if (is_run && !problem_.is_replayable(whole.next_op)) continue;
        Half half = whole;
        half.decided.push_back({whole.next_op, is_run});
        look_at(half);
        open.push(std::move(half));
      }
    }
    const double least = open.top().least;
    return least < most ? static_cast<Nanoseconds>(least) : enough;
  }

 private:
  // What a choice costs beyond its bytes above the room, each at `price`.
  double charged(const Cut& choice, double price) const {
    return static_cast<double>(choice.recompute_ns) +
           price * (static_cast<double>(choice.kept_bytes) - room_);
  }

  bool fits(const Cut& choice) const { return static_cast<double>(choice.kept_bytes) <= room_; }

  // Raises the bound of `half` to the best price, and says which op to decide next: of those that
  // the choices on both sides of the room treat differently, the one that most bytes hang on.
  void look_at(Half& half) {
    half.next_op = kNone;
    Cut more = ask(half, 0);
    if (fits(more)) return;  // the best of all choices: its cost is the bound
    Cut less = ask(half, cut_.highest_price());
    if (!fits(less)) return;  // none fits: a byte too many costs more than everything
    double price = half.price > 0 ? half.price : crossing(more, less);
    for (int i = 0; i < kMostPrices; ++i) {
      Cut middle = ask(half, price);
      (fits(middle) ? less : more) = std::move(middle);
      const double next = crossing(more, less);
      if (next == price) break;
      price = next;
    }
    choose_op(half, more, less);
  }

  // The price at which both cost the same.
  static double crossing(const Cut& more, const Cut& less) {
    const auto ns = static_cast<double>(less.recompute_ns - more.recompute_ns);
    return std::max(0.0, ns / static_cast<double>(more.kept_bytes - less.kept_bytes));
  }

  Cut ask(Half& half, double price) {
    ++num_cuts_;
    Cut choice = cut_.at_price(price, half.decided);
    const double least = charged(choice, price) * (1 - 1e-9) - cut_.rounding_at(price);
    if (least > half.least) {
      half.least = least;
      half.price = price;
    }
    return choice;
  }

  void choose_op(Half& half, const Cut& more, const Cut& less) const {
    const StepGraph& graph = problem_.graph();
    std::vector<ValueIndex> dropped;
    std::ranges::set_difference(more.kept, less.kept, std::back_inserter(dropped));
    Bytes most = 0;
    for (ValueIndex v : dropped) {
      const EventIndex op = graph.values[v].producer;
      const auto is_same = [op](const RunAgain& known) { return known.op == op; };
      if (graph.values[v].bytes <= most || std::ranges::any_of(half.decided, is_same)) continue;
      most = graph.values[v].bytes;
      half.next_op = op;
    }
  }

  const Problem& problem_;
  const KeepCut& cut_;
  double room_;
  std::int64_t num_cuts_ = 0;
};

}  // namespace

Nanoseconds branched_bound(const Problem& problem, const KeepCut& cut, Bytes room,
                           Nanoseconds enough, std::int64_t most_cuts) {
  return Branching(problem, cut, room).run(enough, most_cuts);
}

}  // namespace tidemark
