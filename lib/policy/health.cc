#include "policy/health.h"

#include <algorithm>

namespace lb::policy {

namespace {

// How long `verdict` takes a target out; nothing where it stays in. What the upstream said replaces
// our guess where it speaks of load. For a key or a model that is refused it can only lengthen
// ours: quota errors come with the Retry-After of the minute although nothing will have changed by
// then.
std::optional<Duration> cooldown(Verdict verdict, std::optional<Duration> told,
                                 const Cooldowns& ours) {
  Duration at_least = told.value_or(Duration::zero());
  switch (verdict) {
    case Verdict::good:
    case Verdict::no_fault:
    case Verdict::timed_out:
      return std::nullopt;
    case Verdict::limited:
      return told.value_or(ours.limited);
    case Verdict::overloaded:
      return told.value_or(ours.overloaded);
    case Verdict::faulty:
      return told.value_or(ours.faulty);
    case Verdict::key_refused:
      return std::max(at_least, ours.key_refused);
    case Verdict::exhausted:
      return std::max(at_least, ours.exhausted);
    case Verdict::not_found:
      return std::max(at_least, ours.not_found);
  }
  return std::nullopt;
}

}  // namespace

Duration Health::on_outcome(Verdict verdict, std::optional<Duration> told,
                            const Cooldowns& cooldowns, Instant now) {
  if (verdict == Verdict::good) faults_ = 0;
  if (verdict == Verdict::faulty) faults_++;
  std::optional<Duration> out = cooldown(verdict, told, cooldowns);
  if (!out) return Duration::zero();
  open_at_ = std::max(open_at_, now + std::clamp(*out, cooldowns.floor, cooldowns.ceiling));
  return open_at_ - now;
}

}  // namespace lb::policy
