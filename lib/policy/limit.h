// Limits of one target: requests and tokens a minute, over a sliding window. Reserve at dispatch,
// settle from usage: a correction goes to the second in which the charge was made, so it can never
// make a later window negative.
#pragma once

#include "base/time.h"
#include "base/window.h"

namespace lb::policy {

struct LimitConfig {
  uint64_t rpm = 0;  // 0: none.
  uint64_t tpm = 0;
};

class Limit {
 public:
  // Of one call. Above every model's context, and so small that no sum of a minute overflows: a
  // provider that reports nonsense as usage must not be able to do that.
  static constexpr uint64_t kTokensMax = uint64_t{1} << 40;

  // What a reservation charged; kept by the call, settled or released exactly once.
  struct Reservation {
    uint64_t tokens = 0;
    Instant at;
  };

  Reservation reserve(uint64_t tokens, Instant now);
  // The call ended with usage known: replaces the estimate by what was used.
  void settle(const Reservation& reservation, uint64_t used, Instant now);
  // The request was never sent (connection failed): gives all of it back.
  void release(const Reservation& reservation, Instant now);

  // max(tokens share, requests share) of what is used; 0 without limits. At least 1 when one more
  // call of `next_tokens` (0 counts as 1: every call has a token) would pass a limit, so that below
  // 1 always means: it fits.
  double utilisation(const LimitConfig& config, uint64_t next_tokens, Instant now) const;
  // When utilisation falls below 1: `now` if it is; never() for a call that is larger than the
  // whole limit.
  Instant frees_at(const LimitConfig& config, uint64_t next_tokens, Instant now) const;
  int64_t requests(Instant now) const { return requests_.sum(now); }
  int64_t tokens(Instant now) const { return tokens_.sum(now); }

 private:
  MinuteWindow requests_;
  MinuteWindow tokens_;
};

}  // namespace lb::policy
