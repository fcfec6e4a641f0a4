#include "policy/limit.h"

#include <algorithm>

namespace lb::policy {

namespace {

int64_t bounded(uint64_t tokens) {
  return static_cast<int64_t>(std::min(tokens, Limit::kTokensMax));
}

// A configured limit as a signed count: above this it can never be reached (see kTokensMax).
int64_t signed_limit(uint64_t limit) {
  return static_cast<int64_t>(std::min(limit, uint64_t{1} << 62));
}

double share(const MinuteWindow& window, uint64_t limit, int64_t next, Instant now) {
  if (limit == 0) return 0;
  int64_t used = window.sum(now);
  double used_share = static_cast<double>(used) / static_cast<double>(limit);
  bool fits = used + next <= signed_limit(limit);
  return fits ? used_share : std::max(used_share, 1.0);
}

Instant fits_at(const MinuteWindow& window, uint64_t limit, int64_t next, Instant now) {
  return limit == 0 ? now : window.falls_to(signed_limit(limit) - next, now);
}

}  // namespace

Limit::Reservation Limit::reserve(uint64_t tokens, Instant now) {
  int64_t charge = bounded(tokens);
  requests_.add(1, now);
  Instant at = tokens_.add(charge, now);
  return {static_cast<uint64_t>(charge), at};
}

void Limit::settle(const Reservation& reservation, uint64_t used, Instant now) {
  tokens_.correct(bounded(used) - bounded(reservation.tokens), reservation.at, now);
}

void Limit::release(const Reservation& reservation, Instant now) {
  requests_.correct(-1, reservation.at, now);
  tokens_.correct(-bounded(reservation.tokens), reservation.at, now);
}

double Limit::utilisation(const LimitConfig& config, uint64_t next_tokens, Instant now) const {
  int64_t next = std::max(bounded(next_tokens), int64_t{1});
  return std::max(share(requests_, config.rpm, 1, now), share(tokens_, config.tpm, next, now));
}

Instant Limit::frees_at(const LimitConfig& config, uint64_t next_tokens, Instant now) const {
  int64_t next = std::max(bounded(next_tokens), int64_t{1});
  return std::max(fits_at(requests_, config.rpm, 1, now), fits_at(tokens_, config.tpm, next, now));
}

}  // namespace lb::policy
