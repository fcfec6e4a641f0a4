// A sliding count over the last `period`, in sixty-one slots of a sixtieth each; `now` is an argument. A charge counts
// for at least the period and less than one slot more, so no window of that length ever holds more than a sum has
// shown. One slot more than sixty: the newest is only partly past, and with sixty a charge made at the end of its slot
// would be forgotten too early.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/time.h"

namespace lb {

class SlidingWindow {
 public:
  static constexpr int64_t kSlots = 61;

  // Rounded up: sixty slots are never shorter than the period.
  explicit SlidingWindow(Duration period)
      : slot_ns_((period.ns + kSlots - 2) / (kSlots - 1)), newest_ends_{slot_ns_} {
    LB_CHECK(slot_ns_ > 0);
  }

  // Returns when the charge counts as made: `now`, or later when `now` has gone back. A correction must name it.
  Instant add(int64_t amount, Instant now) {
    advance(now);
    slots_[place(newest_)] += amount;
    sum_ += amount;
    return std::max(now, newest_ends_ - Duration{slot_ns_});
  }

  // Changes a charge made `at`, in the slot that holds it; without effect once that slot has left the window.
  void correct(int64_t amount, Instant at, Instant now) {
    advance(now);
    // Most corrections come while the slot of the charge is still the newest: without a division.
    bool newest = at < newest_ends_ && at.ns >= newest_ends_.ns - slot_ns_;
    int64_t index = newest ? newest_ : at.ns / slot_ns_;
    if (index > newest_ || newest_ - index >= kSlots) return;
    slots_[place(index)] += amount;
    sum_ += amount;
  }

  int64_t sum(Instant now) const {
    if (now < newest_ends_) return sum_;  // The usual case, without a division.
    int64_t index = now.ns / slot_ns_;
    int64_t sum = sum_;
    for (int64_t i = newest_ - kSlots + 1; i <= index - kSlots; i++) {
      if (i > newest_) return 0;
      sum -= slots_[place(i)];
    }
    return sum;
  }

  // When the sum will first be at most `goal` if nothing is added; never() where that cannot be (`goal` < 0).
  Instant falls_to(int64_t goal, Instant now) const {
    if (goal < 0) return Instant::never();
    int64_t left = sum(now);
    if (left <= goal) return now;
    int64_t oldest = std::max(newest_, now.ns / slot_ns_) - kSlots + 1;
    for (int64_t i = oldest; i <= newest_; i++) {
      left -= slots_[place(i)];
      if (left <= goal) return Instant{(i + kSlots) * slot_ns_};
    }
    return Instant::never();
  }

 private:
  // Slots before the first one appear in the arithmetic, hence the sum before the remainder.
  static constexpr size_t place(int64_t index) { return static_cast<size_t>((index + kSlots) % kSlots); }

  void advance(Instant now) {
    if (now < newest_ends_) return;
    int64_t index = now.ns / slot_ns_;
    newest_ends_ = Instant{(index + 1) * slot_ns_};
    if (index - newest_ >= kSlots) {
      slots_.fill(0);
      sum_ = 0;
      newest_ = index;
    }
    while (newest_ < index) {
      newest_++;
      sum_ -= slots_[place(newest_)];
      slots_[place(newest_)] = 0;
    }
  }

  int64_t slot_ns_;
  int64_t newest_ = 0;   // Index of the newest slot.
  Instant newest_ends_;
  int64_t sum_ = 0;
  std::array<int64_t, kSlots> slots_{};
};

}  // namespace lb
