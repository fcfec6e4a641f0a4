#include "policy/health.h"

#include <algorithm>

namespace lb::policy {

Duration HealthRules::cooldown(Verdict verdict, std::optional<Duration> told) const {
  Duration at_least = told.value_or(Duration::zero());
  switch (verdict) {
    case Verdict::key_refused: return std::max(at_least, cooldowns.key_refused);
    case Verdict::exhausted: return std::max(at_least, cooldowns.exhausted);
    case Verdict::not_found: return std::max(at_least, cooldowns.not_found);
    case Verdict::limited: return told.value_or(cooldowns.limited);
    case Verdict::good: case Verdict::no_fault: case Verdict::overloaded: case Verdict::faulty:
    case Verdict::unreachable: case Verdict::timed_out:
      return told.value_or(cooldowns.overloaded);
  }
  return at_least;
}

Outage Health::outage(Instant now) const {
  for (size_t kind = kOutages - 1; kind > 0; kind--)
    if (until_[kind] > now) return static_cast<Outage>(kind);
  return half_open_ && probing_ ? Outage::fault : Outage::none;
}

Instant Health::changes_at(Instant now) const {
  Instant first = Instant::never();
  for (Instant until : until_)
    if (until > now) first = std::min(first, until);
  return first;
}

double Health::warmed(const BreakerSpec& spec, Instant now) const {
  int64_t since = (now - recovered_at_).ns;
  if (since >= spec.slow_start.ns) return 1;
  return kColdest + (1 - kColdest) * static_cast<double>(since) / static_cast<double>(spec.slow_start.ns);
}

Duration Health::on_good(bool probe, bool slow, const BreakerSpec& spec, Instant now) {
  probe = probe && half_open_;  // Else it has been brought back by hand meanwhile.
  if (probe) recover(spec, now);
  // What went out before the breaker opened, and ends well behind it, proves nothing.
  if (half_open_) return Duration::zero();
  errors_ = 0;
  record(false, slow, spec, now);
  return slow && too_many(spec) ? trip(spec, now) : Duration::zero();
}

Duration Health::on_fault(bool probe, bool at_once, const BreakerSpec& spec, Instant now) {
  probe = probe && half_open_;
  if (probe) probing_ = false;
  // As long as trips are remembered: errors that far apart are no row.
  if (now - erred_at_ > spec.open_max) errors_ = 0;
  erred_at_ = now;
  errors_++;
  record(true, false, spec, now);
  bool opens = at_once || probe || (spec.errors > 0 && errors_ >= spec.errors) || too_many(spec);
  if (!opens) return Duration::zero();
  // A fault of an attempt from before it opened says nothing new, but it is no reason to come back sooner.
  if (half_open_ && !probe) return extend(now + spec.open, Outage::fault, now);
  return trip(spec, now);
}

void Health::revive(const BreakerSpec& spec, Instant now) {
  if (!faulted(now)) return;
  until_[static_cast<size_t>(Outage::fault)] = std::min(now, until_[static_cast<size_t>(Outage::fault)]);
  open_at_ = *std::max_element(until_.begin(), until_.end());
  errors_ = 0;
  recover(spec, now);
}

void Health::recover(const BreakerSpec& spec, Instant now) {
  half_open_ = probing_ = false;
  recovering_ = spec.slow_start > Duration::zero();
  recovered_at_ = now;
  parts_.fill({});
}

Duration Health::trip(const BreakerSpec& spec, Instant now) {
  if (now - recovered_at_ > spec.open_max && !half_open_) trips_ = 0;
  Duration length = spec.open;
  for (uint32_t i = 0; i < trips_ && length < spec.open_max; i++) length = length * 2;
  trips_++;
  half_open_ = true;
  probing_ = recovering_ = false;
  return extend(now + std::min(length, spec.open_max), Outage::fault, now);
}

Duration Health::cool(Duration length, Outage why, const Cooldowns& cooldowns, Instant now) {
  return extend(now + std::clamp(length, cooldowns.floor, cooldowns.ceiling), why, now);
}

Duration Health::extend(Instant until, Outage why, Instant now) {
  Instant& of_kind = until_[static_cast<size_t>(why)];
  of_kind = std::max(of_kind, until);
  open_at_ = std::max(open_at_, until);
  return std::max(open_at_ - now, Duration::zero());
}

void Health::mark_down(Duration length, Instant now) { extend(now + length, Outage::manual, now); }

void Health::record(bool bad, bool slow, const BreakerSpec& spec, Instant now) {
  int64_t number = now.ns / std::max(spec.window.ns / kParts, int64_t{1});
  if (number - part_ >= kParts) {
    parts_.fill({});
    part_ = number;
  }
  while (part_ < number) parts_[static_cast<size_t>(++part_ % kParts)] = {};
  Part& part = parts_[static_cast<size_t>(part_ % kParts)];
  part.all++;
  part.bad += bad;
  part.slow += slow;
}

bool Health::too_many(const BreakerSpec& spec) const {
  Part sum;
  for (const Part& part : parts_) {
    sum.all += part.all;
    sum.bad += part.bad;
    sum.slow += part.slow;
  }
  if (sum.all == 0 || sum.all < spec.volume) return false;
  double all = sum.all;
  return (spec.rate > 0 && sum.bad >= spec.rate * all) ||
         (spec.slow > Duration::zero() && spec.slow_rate > 0 && sum.slow >= spec.slow_rate * all);
}

}  // namespace lb::policy
