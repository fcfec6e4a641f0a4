// What a provider states to be left of its limits (reference/wire.md §9). It replaces the guess: until the stated reset
// the target takes what the provider said, less what has been sent since, and lb paces itself instead of running into
// refusals.
#pragma once

#include <array>
#include <optional>

#include "policy/quota.h"

namespace lb::policy {

struct Statement {
  Metric metric = Metric::requests;
  std::optional<uint64_t> limit;  // Absent is absent.
  uint64_t remaining = 0;
  std::optional<Duration> reset;  // From now; absent where it was not said.
  bool continuous = false;        // Refills all the time and is full at `reset`; else all comes back at `reset`.
};

// Running totals of what has been sent, as it was charged: where a call stands among the others of its target.
struct Sent {
  int64_t requests = 0;
  int64_t input = 0;
  int64_t output = 0;
  int64_t of(Metric metric) const;
};

class StatedLimits {
 public:
  // `at_dispatch`: the totals with the call that brought the statement. Whether calls sent after it are in the
  // statement cannot be known; they are counted against it.
  void hear(const Statement& statement, const Sent& at_dispatch, Instant now);
  void charge(const Charge& charge) {
    sent_.requests++;
    sent_.input += charge.of(Metric::input_tokens);
    sent_.output += charge.of(Metric::output_tokens);
    if (any_) charge_items(charge);
  }
  // What was charged as `was`, with the totals `at_dispatch`, took `is` in truth.
  void amend(const Charge& was, const Charge& is, const Sent& at_dispatch) {
    if (any_) amend_items(was, is, at_dispatch);
  }
  const Sent& sent() const { return sent_; }

  bool fits(const Charge& charge, Instant now) const;
  // Of the tightest; at least 1 when `charge` does not fit; 0 where nothing is stated.
  double share(const Charge& charge, Instant now) const { return any_ ? stated_share(charge, now) : 0; }
  Instant fits_at(const Charge& charge, Instant now) const;
  // Tokens left behind `charge`; kBoundless where none are stated.
  double tokens_left(const Charge& charge, Instant now, double boundless) const;

 private:
  // A statement without a reset, or behind it, says nothing any more after this: the usual window.
  static constexpr Duration kMemory = Duration::from_s(60);

  struct Item {
    bool known = false;
    bool continuous = false;
    int64_t remaining = 0;
    int64_t limit = 0;   // 0: not stated.
    int64_t order = 0;   // Of the call that brought it, among all of the target.
    int64_t since = 0;   // Sent after that call, as far as it is known by now.
    Instant at;
    Instant reset;
  };
  bool holds(const Item& item, Instant now) const { return item.known && now < item.reset; }
  void charge_items(const Charge& charge);
  void amend_items(const Charge& was, const Charge& is, const Sent& at_dispatch);
  double stated_share(const Charge& charge, Instant now) const;
  static double left(const Item& item, Instant now);

  static constexpr size_t kMetrics = 4;  // All but money, which providers do not state.
  Sent sent_;
  bool any_ = false;
  std::array<Item, kMetrics> items_{};
};

}  // namespace lb::policy
