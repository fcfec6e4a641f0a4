// A sliding count over the last minute, in sixty slots of one second; `now` is an argument. A sum covers
// between 59 and 60 seconds before `now`, and never misses a charge younger than 59 seconds.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"

namespace lb {

class MinuteWindow {
 public:
  static constexpr int64_t kSlots = 60;

  void add(int64_t amount, Instant now) {
    advance(now);
    slots_[static_cast<size_t>(second_ % kSlots)] += amount;
    sum_ += amount;
  }
  int64_t sum(Instant now) const {
    int64_t age = now.ns / 1'000'000'000 - second_;
    if (age <= 0) return sum_;
    if (age >= kSlots) return 0;
    int64_t gone = 0;
    for (int64_t i = 1; i <= age; i++) gone += slots_[static_cast<size_t>((second_ + i) % kSlots)];
    return sum_ - gone;
  }
  // When the sum will first be at most `goal`.
  Instant falls_to(int64_t goal, Instant now) const {
    int64_t left = sum_;
    for (int64_t i = 0; i < kSlots && left > goal; i++) {
      int64_t second = second_ - kSlots + 1 + i;
      left -= slots_[static_cast<size_t>(((second % kSlots) + kSlots) % kSlots)];
      Instant leaves{(second + kSlots) * 1'000'000'000};
      if (left <= goal && leaves > now) return leaves;
    }
    return now;
  }

 private:
  void advance(Instant now) {
    int64_t second = now.ns / 1'000'000'000;
    if (second - second_ >= kSlots) {
      slots_.fill(0);
      sum_ = 0;
      second_ = second;
    }
    while (second_ < second) {
      second_++;
      int64_t& slot = slots_[static_cast<size_t>(second_ % kSlots)];
      sum_ -= slot;
      slot = 0;
    }
  }

  std::array<int64_t, kSlots> slots_{};
  int64_t second_ = 0;
  int64_t sum_ = 0;
};

}  // namespace lb
