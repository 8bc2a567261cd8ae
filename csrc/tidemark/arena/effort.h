// Effort: how much searching is left, in work, in time and in patience.
//
// Work is counted in elementary steps, the same on every machine; the clock and `cancel` are looked
// at every few million steps. Internal to this folder. One thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

namespace tidemark::arena {

class Effort {
 public:
  Effort(std::int64_t work_limit, double time_limit_s, std::function<bool()> cancel)
      : limit_(work_limit),
        next_look_(std::min(work_limit, kLookEvery)),
        deadline_(Clock::now() +
                  std::chrono::duration_cast<Clock::duration>(
                      std::chrono::duration<double>(std::min(time_limit_s, kLongest)))),
        cancel_(std::move(cancel)) {}

  // Counts `steps` and returns whether there is effort left.
  bool spend(std::int64_t steps) {
    spent_ += steps;
    if (spent_ >= next_look_) look();
    return !is_over_;
  }

  bool is_over() const { return is_over_; }
  std::int64_t spent() const { return spent_; }
  std::int64_t left() const { return is_over_ ? 0 : limit_ - spent_; }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr double kLongest = 1e9;  // seconds; more does not fit the clock
  static constexpr std::int64_t kLookEvery = 2'000'000;

  void look() {
    next_look_ = std::min(limit_, spent_ + kLookEvery);
    if (spent_ >= limit_ || Clock::now() >= deadline_ || (cancel_ && cancel_())) is_over_ = true;
  }

  std::int64_t limit_;
  std::int64_t next_look_;
  Clock::time_point deadline_;
  std::function<bool()> cancel_;
  std::int64_t spent_ = 0;
  bool is_over_ = false;
};

}  // namespace tidemark::arena
