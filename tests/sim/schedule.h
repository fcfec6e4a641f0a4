// Virtual time: what is to happen when. Ties go by order of insertion, so that a seed replays exactly. With a grain,
// things happen at multiples of it only, so that many happen at once.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "base/time.h"

namespace lb::sim {

class Schedule {
 public:
  // A second after the start of the clock, so that "long ago" lies before it.
  Instant now() const { return now_; }
  void set_grain(Duration grain) { grain_ = grain; }
  void at(Instant when, std::function<void()> what) {
    when = std::max(when, now_);
    if (grain_ > Duration::zero() && when > now_) when.ns = (when.ns + grain_.ns - 1) / grain_.ns * grain_.ns;
    items_.push({when, ++orders_, std::move(what)});
  }
  void after(Duration delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }
  Instant next() const { return items_.empty() ? Instant::never() : items_.top().when; }

  // Moves the clock; what is due by then has still to be run.
  void move_to(Instant when) { now_ = std::max(now_, when); }
  // Moves the clock to `when` and runs what is due by then.
  void run_to(Instant when) {
    move_to(when);
    while (!items_.empty() && items_.top().when <= now_) {
      std::function<void()> what = std::move(const_cast<Item&>(items_.top()).what);
      items_.pop();
      what();
    }
  }

 private:
  struct Item {
    Instant when;
    uint64_t order;
    std::function<void()> what;
    bool operator<(const Item& other) const {
      return when != other.when ? when > other.when : order > other.order;
    }
  };
  Instant now_{1'000'000'000};
  Duration grain_;
  uint64_t orders_ = 0;
  std::priority_queue<Item> items_;
};

}  // namespace lb::sim
