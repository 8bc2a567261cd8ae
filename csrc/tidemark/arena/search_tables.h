// SearchTables: what a search knows at one node, and how to go back.
//
// Items are numbered by the search's own order. Addresses below an item's `lowest` are taken by
// placed neighbours or by obstacles; the floor of a section is what its unplaced items lie above.
// Internal to search.cc.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "tidemark/arena/orders.h"
#include "tidemark/arena/partition.h"

namespace tidemark::arena {

class SearchTables {
 public:
  // How far the logs of changes reach.
  struct Mark {
    std::size_t lowest = 0;
    std::size_t floors = 0;
    std::size_t placed = 0;
  };

  SearchTables(const Partition& partition, const Order& order, Bytes capacity);

  // Returns whether every section's items fit in the capacity at all.
  bool is_possible() const { return is_possible_; }

  Bytes lowest(std::int32_t item) const { return lowest_[item]; }
  Bytes lowest_end(std::int32_t item) const { return lowest_[item] + items_[item].size; }
  bool is_unplaced_in(std::int32_t item, std::int32_t begin, std::int32_t end) const {
    return !is_placed_[item] && begin <= items_[item].begin && items_[item].begin < end;
  }

  Mark mark() const { return {lowest_log_.size(), floor_log_.size(), placed_.size()}; }
  void undo(const Mark& mark);

  // Places `item` at its lowest address. Returns false if then some unplaced item of the sections
  // [begin, end) has no room left; call undo in that case. Adds what it cost to `work`.
  bool place(std::int32_t item, std::int32_t begin, std::int32_t end, std::int64_t& work);

  // Adds the stretches of [begin, end) that have unplaced items and share none, largest first.
  void split(std::int32_t begin, std::int32_t end,
             std::vector<std::pair<std::int32_t, std::int32_t>>& groups) const;

  Placement placement() const;

 private:
  void set_up_neighbours();
  void set_up_obstacles();
  void set_up_sections();
  Bytes settle(std::int32_t item, Bytes address) const;
  bool raise_neighbours(std::int32_t item, Bytes address, std::int64_t& work);
  bool has_room(std::int32_t section, Bytes floor) const;
  Bytes unplaced_floor(std::int32_t section, Bytes least, std::int64_t& work);

  const Partition& partition_;
  Order order_;
  Bytes capacity_;
  bool is_possible_ = true;
  std::vector<Item> items_;

  // Of item i: [starts[i], starts[i + 1]).
  std::vector<std::int32_t> neighbour_starts_;
  std::vector<std::int32_t> neighbours_;
  std::vector<std::int32_t> obstacle_starts_;
  std::vector<std::pair<Bytes, Bytes>> obstacles_;
  // Of section s likewise.
  std::vector<std::int32_t> member_starts_;
  std::vector<std::int32_t> members_;
  std::vector<std::vector<std::pair<Bytes, Bytes>>>
      taken_;  // merged obstacles; empty if none at all

  std::vector<Bytes> lowest_;
  std::vector<char> is_placed_;
  std::vector<Bytes> floor_;
  std::vector<Bytes> unplaced_bytes_;
  std::vector<std::int32_t> crossing_;  // unplaced items across the boundary before the section

  std::vector<std::pair<std::int32_t, Bytes>> lowest_log_;
  std::vector<std::pair<std::int32_t, Bytes>> floor_log_;
  std::vector<std::int32_t> placed_;
  std::vector<std::int32_t> touched_;  // difference array over sections
  std::vector<std::pair<Bytes, Bytes>> scratch_;
};

}  // namespace tidemark::arena
