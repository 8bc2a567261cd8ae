#include "tidemark/arena/search.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

#include "tidemark/arena/search_tables.h"

namespace tidemark::arena {

// The depth-first search itself. Frames are nodes of the current path; a group that waits for its
// neighbours to be solved is an entry of `waiting_`.
class Search::Tree {
 public:
  Tree(const Partition& partition, const Order& order, Bytes capacity)
      : tables_(partition, order, capacity) {
    if (!tables_.is_possible()) {
      outcome_ = SearchState::kExhausted;
      return;
    }
    std::vector<std::int32_t> all(order.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int32_t>(i);
    pool_ = std::move(all);
    if (pool_.empty()) {
      outcome_ = SearchState::kFound;
      return;
    }
    const Group whole{0, partition.num_sections, kNone, {-1, -1}, kNone};
    open(whole, 0, pool_.size());
  }

  SearchState run(std::int64_t work) {
    const std::int64_t end = work_ + work;
    while (outcome_ == SearchState::kRunning && work_ < end) step();
    return outcome_;
  }

  SearchState outcome() const { return outcome_; }
  std::int64_t work() const { return work_; }
  const SearchTables& tables() const { return tables_; }

 private:
  static constexpr std::int32_t kNone = -1;

  // Unplaced items that share no section with others.
  struct Group {
    std::int32_t begin;  // sections [begin, end)
    std::int32_t end;
    std::int32_t parent;  // the frame whose choice split it off: where its failure leads
    std::pair<Bytes, std::int32_t> last;  // the choice made before: offset and item
    std::int32_t next;                    // of waiting_: what is to be solved after it
  };

  struct Frame {
    Group group;
    std::size_t items_begin;  // of pool_: the group's unplaced items, ascending
    std::size_t items_end;
    std::size_t choice;  // of choices_: the next to try
    std::size_t choices_begin;
    std::size_t num_waiting;  // before this frame's choice
    SearchTables::Mark mark;
  };

  using Choice = std::pair<Bytes, std::int32_t>;

  // Adds a frame for `group`, whose items are pool_[items_begin, items_end).
  void open(const Group& group, std::size_t items_begin, std::size_t items_end) {
    Bytes lowest_top = kNoLimit;
    for (std::size_t i = items_begin; i < items_end; ++i) {
      lowest_top = std::min(lowest_top, tables_.lowest_end(pool_[i]));
    }
    const std::size_t first = choices_.size();
    for (std::size_t i = items_begin; i < items_end; ++i) {
      const Choice choice{tables_.lowest(pool_[i]), pool_[i]};
      if (choice.first < lowest_top && choice > group.last) choices_.push_back(choice);
    }
    std::sort(choices_.begin() + static_cast<std::ptrdiff_t>(first), choices_.end());
    frames_.push_back(
        {group, items_begin, items_end, first, first, waiting_.size(), tables_.mark()});
    work_ += static_cast<std::int64_t>(items_end - items_begin) + 10;
  }

  void step() {
    Frame& frame = frames_.back();
    if (frame.choice == choices_.size()) {
      turn_back();
      return;
    }
    const Choice choice = choices_[frame.choice++];
    if (tables_.place(choice.second, frame.group.begin, frame.group.end, work_)) {
      descend(choice);
    } else {
      tables_.undo(frame.mark);
    }
  }

  // Drops frames down to the one whose choice made the failed group, and undoes that choice.
  void turn_back() {
    const std::int32_t parent = frames_.back().group.parent;
    if (parent == kNone) {
      outcome_ = SearchState::kExhausted;
      return;
    }
    const Frame& child = frames_[parent + 1];
    choices_.resize(child.choices_begin);
    pool_.resize(frames_[parent].items_end);
    frames_.erase(frames_.begin() + parent + 1, frames_.end());
    Frame& frame = frames_.back();
    waiting_.resize(frame.num_waiting);
    tables_.undo(frame.mark);
  }

  // Goes on to the groups that are left after `choice`, then to those that wait.
  void descend(const Choice& choice) {
    const auto parent = static_cast<std::int32_t>(frames_.size()) - 1;
    const Group group = frames_.back().group;
    std::int32_t next = group.next;
    groups_.clear();
    tables_.split(group.begin, group.end, groups_);
    work_ += group.end - group.begin;
    for (const auto& [begin, end] : groups_) {
      waiting_.push_back({begin, end, parent, choice, next});
      next = static_cast<std::int32_t>(waiting_.size()) - 1;
    }
    if (next == kNone) {
      outcome_ = SearchState::kFound;
      return;
    }
    const Group chosen = waiting_[next];
    const Frame& source = frames_[chosen.parent];
    const std::size_t first = pool_.size();
    for (std::size_t i = source.items_begin; i < source.items_end; ++i) {
      const std::int32_t item = pool_[i];
      if (tables_.is_unplaced_in(item, chosen.begin, chosen.end)) pool_.push_back(item);
    }
    open(chosen, first, pool_.size());
  }

  SearchTables tables_;
  std::vector<Frame> frames_;
  std::vector<Choice> choices_;
  std::vector<std::int32_t> pool_;
  std::vector<Group> waiting_;
  std::vector<std::pair<std::int32_t, std::int32_t>> groups_;
  SearchState outcome_ = SearchState::kRunning;
  std::int64_t work_ = 0;
};

Search::Search(const Partition& partition, const Order& order, Bytes capacity)
    : tree_(std::make_unique<Tree>(partition, order, capacity)) {}

Search::~Search() = default;

SearchState Search::run(std::int64_t work) { return tree_->run(work); }
SearchState Search::state() const { return tree_->outcome(); }
std::int64_t Search::work() const { return tree_->work(); }
Placement Search::placement() const { return tree_->tables().placement(); }

}  // namespace tidemark::arena
