// A sliding count over the last minute, in slots of one second; `now` is an argument. A charge
// counts for at least sixty seconds and less than sixty-one, so no window of sixty seconds ever
// holds more than a sum has shown.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace lb {

class MinuteWindow {
 public:
  // One more than the minute has seconds: the newest slot is only partly past, and with sixty a
  // charge made at the end of its second would be forgotten after fifty-nine.
  static constexpr int64_t kSlots = 61;

  // Returns when the charge counts as made: `now`, or later when `now` has gone back. A correction
  // must name it.
  Instant add(int64_t amount, Instant now) {
    advance(now);
    slot(second_) += amount;
    sum_ += amount;
    return std::max(now, Instant{second_ * kSecond});
  }

  // Changes a charge made `at`, in the slot that holds it; without effect once that slot has left
  // the window.
  void correct(int64_t amount, Instant at, Instant now) {
    advance(now);
    int64_t second = at.ns / kSecond;
    if (second > second_ || second_ - second >= kSlots) return;
    slot(second) += amount;
    sum_ += amount;
  }

  int64_t sum(Instant now) const {
    int64_t newest = now.ns / kSecond;
    int64_t sum = sum_;
    for (int64_t second = second_ - kSlots + 1; second <= newest - kSlots; second++) {
      if (second > second_) return 0;
      sum -= slot(second);
    }
    return sum;
  }

  // When the sum will first be at most `goal` if nothing is added; never() where that cannot be
  // (`goal` < 0).
  Instant falls_to(int64_t goal, Instant now) const {
    if (goal < 0) return Instant::never();
    int64_t left = sum(now);
    if (left <= goal) return now;
    int64_t oldest = std::max(second_, now.ns / kSecond) - kSlots + 1;
    for (int64_t second = oldest; second <= second_; second++) {
      left -= slot(second);
      if (left <= goal) return Instant{(second + kSlots) * kSecond};
    }
    return Instant::never();
  }

 private:
  static constexpr int64_t kSecond = 1'000'000'000;

  // Seconds before the first one appear in the arithmetic, hence the sum before the remainder.
  static constexpr size_t place(int64_t second) {
    return static_cast<size_t>((second + kSlots) % kSlots);
  }
  int64_t& slot(int64_t second) { return slots_[place(second)]; }
  int64_t slot(int64_t second) const { return slots_[place(second)]; }

  void advance(Instant now) {
    int64_t second = now.ns / kSecond;
    if (second - second_ >= kSlots) {
      slots_.fill(0);
      sum_ = 0;
      second_ = second;
    }
    while (second_ < second) {
      second_++;
      sum_ -= slot(second_);
      slot(second_) = 0;
    }
  }

  std::array<int64_t, kSlots> slots_{};
  int64_t second_ = 0;
  int64_t sum_ = 0;
};

}  // namespace lb
