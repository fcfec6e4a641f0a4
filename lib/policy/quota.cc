#include "policy/quota.h"

#include <algorithm>
#include <cmath>

namespace lb::policy {

namespace {

// A configured limit as a signed count: above this it can never be reached (see kTokensMax).
int64_t signed_limit(uint64_t limit) { return static_cast<int64_t>(std::min(limit, uint64_t{1} << 62)); }

}  // namespace

Quota::Quota(const QuotaSpec& spec, Instant origin, uint32_t born) : spec_(spec), limit_(signed_limit(spec.limit)),
      per_limit_(1 / static_cast<double>(limit_)), born_(born), slots_(spec.period), origin_(origin) {}

void Quota::set_limit(uint64_t limit) {
  spec_.limit = limit;
  limit_ = signed_limit(limit);
  per_limit_ = 1 / static_cast<double>(limit_);
}

int64_t Quota::window_of(Instant when) const {
  int64_t since = (when - origin_).ns;
  int64_t number = since / spec_.period.ns;
  return since < 0 && number * spec_.period.ns != since ? number - 1 : number;
}

double Quota::level(Instant now) const {
  double rate = static_cast<double>(limit_) / static_cast<double>(spec_.period.ns);
  return std::max(0.0, level_ - rate * static_cast<double>(std::max((now - drained_).ns, int64_t{0})));
}

int64_t Quota::used_otherwise(Instant now) const {
  switch (spec_.window) {
    case WindowKind::sliding: break;  // In the header: it is the usual one.
    case WindowKind::fixed:
    case WindowKind::aligned: return window_of(now) > window_ ? 0 : count_;
    case WindowKind::bucket: return static_cast<int64_t>(std::ceil(level(now)));
  }
  return 0;
}

Instant Quota::fits_at(const Charge& charge, Instant now) const {
  int64_t goal = limit_ - charge.of(spec_.metric);
  if (goal < 0) return Instant::never();
  switch (spec_.window) {
    case WindowKind::sliding: return slots_.falls_to(goal, now);
    case WindowKind::fixed:
    case WindowKind::aligned:
      if (used(now) <= goal) return now;
      return origin_ + Duration{(window_of(now) + 1) * spec_.period.ns};
    case WindowKind::bucket: {
      double over = level(now) - static_cast<double>(goal);
      if (over <= 0) return now;
      double ns = over * static_cast<double>(spec_.period.ns) / static_cast<double>(limit_);
      return now + Duration{static_cast<int64_t>(std::ceil(ns))};
    }
  }
  return now;
}

void Quota::add(int64_t amount, Instant now) {
  switch (spec_.window) {
    case WindowKind::sliding: return;  // In the header.
    case WindowKind::fixed:
    case WindowKind::aligned:
      if (window_of(now) > window_) {
        window_ = window_of(now);
        count_ = 0;
      }
      count_ += amount;
      return;
    case WindowKind::bucket:
      level_ = level(now) + static_cast<double>(amount);
      drained_ = std::max(drained_, now);
      return;
  }
}

void Quota::amend(int64_t amount, Instant at, Instant now) {
  switch (spec_.window) {
    case WindowKind::sliding:
      slots_.correct(amount, at, now);
      return;
    case WindowKind::fixed:
    case WindowKind::aligned:
      if (window_of(at) == window_ && window_of(now) <= window_) count_ += amount;
      return;
    case WindowKind::bucket: {
      // What has drained since the charge cannot be given back: that would be taken from later charges.
      double rate = static_cast<double>(limit_) / static_cast<double>(spec_.period.ns);
      double drained = rate * static_cast<double>(std::max((now - at).ns, int64_t{0}));
      double change = static_cast<double>(amount);
      if (change < 0) change = std::min(0.0, change + drained);
      level_ = std::max(0.0, level(now) + change);
      drained_ = std::max(drained_, now);
      return;
    }
  }
}

}  // namespace lb::policy
