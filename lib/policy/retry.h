// After a failed attempt: stop, or go elsewhere. Pure. An attempt that delivered something is never
// retried: the engine does not even ask.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace lb::policy {

struct RetryPlan {
  uint32_t retries = 0;  // Attempts after the first.
};

// Design.md §0: should-fail-over and should-mark-down are different questions; this table answers
// the first.
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

Next after(const RetryPlan& plan, Outcome outcome, const Spent& spent, Instant deadline,
           Instant now);

}  // namespace lb::policy
