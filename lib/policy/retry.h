// After a failed attempt: stop, go elsewhere, or ask again after a while. Pure. An attempt that delivered something is
// never retried: the engine does not even ask.
#pragma once

#include <cstdint>
#include <optional>

#include "base/rng.h"
#include "base/time.h"

namespace lb::policy {

enum class RetryPolicy : uint8_t {
  elsewhere,  // Each attempt on another target; when all have been tried, that was it.
  again,      // When all have been tried, again from the start after a pause, up to `retries`.
  forever,    // The same without a count: the deadline ends it.
};

struct RetryPlan {
  RetryPolicy policy = RetryPolicy::elsewhere;
  uint32_t retries = 0;     // Attempts after the first.
  Duration backoff;         // First pause before a target is asked again; also the least.
  Duration backoff_max;
};

// Design.md §0: should-fail-over and should-mark-down are different questions; this table answers the first.
enum class Outcome : uint8_t {
  caller_fault,  // 400, 413, 422, context length, content filter: never.
  target_fault,  // 401, 403, 404, 408, 409, 429, 5xx, timeouts, broken, refused.
  stale,         // A kept-alive connection closed with nothing received: again, once, free.
};

struct Spent {
  uint32_t attempts = 0;   // Including the one that just failed.
  bool stale_used = false;
  bool replayable = true;  // The whole request body is still at hand.
};

struct Next {
  enum class Kind : uint8_t { stop, again, elsewhere } kind = Kind::stop;
};

Next after(const RetryPlan& plan, Outcome outcome, const Spent& spent, Instant deadline, Instant now);

// All targets have been tried: the pause before they may be tried again, or nothing when that was it. Decorrelated
// jitter (Brooker 2015): between `backoff` and three times the last pause, at most backoff_max; never shorter than
// what the upstream asked for, and nothing when the deadline would pass before.
std::optional<Duration> pause_before_again(const RetryPlan& plan, Duration last_pause, std::optional<Duration> told,
                                           Instant deadline, Instant now, Rng& rng);

// The retries of all calls together, as a share of the calls: when everything fails, retries must not multiply the
// load. Each call earns `ratio` of a retry; besides there are `floor_per_s`, so that few calls can retry at all.
struct BudgetSpec {
  double ratio = 0.2;        // Envoy's budget_percent; 0 with floor 0: no retries, below 0: no budget at all.
  double floor_per_s = 10;   // Finagle's minRetriesPerSec.
};

class RetryBudget {
 public:
  void on_call(const BudgetSpec& spec, Instant now);
  // Takes one retry from what is left; false when nothing is.
  bool take(const BudgetSpec& spec, Instant now);
  double left(const BudgetSpec& spec, Instant now) const;

  // What is earned and not used is kept for so long (Finagle's ttl), so that the budget is a rate over it.
  static constexpr Duration kMemory = Duration::from_s(10);

 private:
  double kept(Instant now) const;
  double used(const BudgetSpec& spec, Instant now) const;
  void fade(const BudgetSpec& spec, Instant now);

  double earned_ = 0;  // By calls; fades over kMemory.
  double used_ = 0;    // Of the floor; comes back at its rate.
  Instant at_;
};

}  // namespace lb::policy
