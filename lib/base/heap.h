// Timers: a 4-ary heap of nodes that live inside their owners. Ties fire in the order in which they were set,
// so a run with the same seed fires them the same way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "base/time.h"

namespace lb {

// Embedded in its owner; the owner disarms it before it dies.
struct Timer {
  Instant due;
  uint64_t order = 0;
  size_t place = SIZE_MAX;  // Index in the heap; SIZE_MAX when not armed.
  uint64_t owner = 0;       // What the heap hands back: an id of the owner's choice.
  uint32_t kind = 0;        // Which of the owner's timers this is.

  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { LB_ASSERT(place == SIZE_MAX); }
  bool armed() const { return place != SIZE_MAX; }
};

class TimerHeap {
 public:
  void arm(Timer& timer, Instant due) {
    timer.due = due;
    timer.order = ++orders_;
    if (!timer.armed()) {
      timer.place = nodes_.size();
      nodes_.push_back(&timer);
      up(timer.place);
    } else {
      up(timer.place);
      down(timer.place);
    }
  }

  void disarm(Timer& timer) {
    if (!timer.armed()) return;
    size_t hole = timer.place;
    timer.place = SIZE_MAX;
    Timer* last = nodes_.back();
    nodes_.pop_back();
    if (last == &timer) return;
    put(hole, last);
    up(hole);
    down(last->place);
  }

  // The earliest due time; Instant::never() when empty.
  Instant next() const { return nodes_.empty() ? Instant::never() : nodes_[0]->due; }
  size_t size() const { return nodes_.size(); }

  struct Fired {
    uint64_t owner;
    uint32_t kind;
  };
  // Disarms all that are due and lists them first: what they do cannot disturb the walk.
  void take_due(Instant now, std::vector<Fired>& out) {
    while (!nodes_.empty() && nodes_[0]->due <= now) {
      out.push_back({nodes_[0]->owner, nodes_[0]->kind});
      disarm(*nodes_[0]);
    }
  }

 private:
  static constexpr size_t kArity = 4;

  static bool before(const Timer* a, const Timer* b) {
    return a->due != b->due ? a->due < b->due : a->order < b->order;
  }
  void put(size_t at, Timer* timer) {
    nodes_[at] = timer;
    timer->place = at;
  }
  void up(size_t at) {
    Timer* timer = nodes_[at];
    while (at > 0) {
      size_t parent = (at - 1) / kArity;
      if (!before(timer, nodes_[parent])) break;
      put(at, nodes_[parent]);
      at = parent;
    }
    put(at, timer);
  }
  void down(size_t at) {
    Timer* timer = nodes_[at];
    for (;;) {
      size_t first = at * kArity + 1;
      if (first >= nodes_.size()) break;
      size_t best = first;
      for (size_t i = first + 1; i < first + kArity && i < nodes_.size(); i++)
        if (before(nodes_[i], nodes_[best])) best = i;
      if (!before(nodes_[best], timer)) break;
      put(at, nodes_[best]);
      at = best;
    }
    put(at, timer);
  }

  std::vector<Timer*> nodes_;
  uint64_t orders_ = 0;
};

}  // namespace lb
