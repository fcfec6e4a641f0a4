#include "policy/retry.h"

#include <algorithm>

namespace lb::policy {

namespace {

Next::Kind kind_after(const RetryPlan& plan, Outcome outcome, const Spent& spent) {
  switch (outcome) {
    case Outcome::caller_fault:
      return Next::Kind::stop;
    case Outcome::stale:
      // The second in one call is no accident any more: it counts like any other failure.
      if (!spent.stale_used) return Next::Kind::again;
      break;
    case Outcome::target_fault:
      break;
  }
  bool may = plan.policy == RetryPolicy::forever || spent.attempts <= plan.retries;
  return may ? Next::Kind::elsewhere : Next::Kind::stop;
}

}  // namespace

Next after(const RetryPlan& plan, Outcome outcome, const Spent& spent, Instant deadline, Instant now) {
  if (now >= deadline || !spent.replayable) return {Next::Kind::stop};
  return {kind_after(plan, outcome, spent)};
}

std::optional<Duration> pause_before_again(const RetryPlan& plan, Duration last_pause, std::optional<Duration> told,
                                           Instant deadline, Instant now, Rng& rng) {
  if (plan.policy == RetryPolicy::elsewhere) return std::nullopt;
  int64_t low = plan.backoff.ns;
  int64_t high = std::max(low, std::min(std::max(last_pause.ns, low) * 3, plan.backoff_max.ns));
  Duration pause{low + static_cast<int64_t>(rng.below(static_cast<uint64_t>(high - low) + 1))};
  if (told) pause = std::max(pause, *told);
  if (now + pause >= deadline) return std::nullopt;
  return pause;
}

double RetryBudget::kept(Instant now) const {
  double passed = static_cast<double>(std::max(now - at_, Duration::zero()).ns);
  return earned_ * std::max(0.0, 1 - passed / static_cast<double>(kMemory.ns));
}

double RetryBudget::used(const BudgetSpec& spec, Instant now) const {
  double passed_s = static_cast<double>(std::max(now - at_, Duration::zero()).ns) * 1e-9;
  return std::max(0.0, used_ - spec.floor_per_s * passed_s);
}

void RetryBudget::fade(const BudgetSpec& spec, Instant now) {
  earned_ = kept(now);
  used_ = used(spec, now);
  at_ = std::max(at_, now);
}

void RetryBudget::on_call(const BudgetSpec& spec, Instant now) {
  fade(spec, now);
  earned_ += spec.ratio;
}

double RetryBudget::left(const BudgetSpec& spec, Instant now) const {
  double floor = spec.floor_per_s * static_cast<double>(kMemory.ns) * 1e-9;
  return kept(now) + std::max(0.0, floor - used(spec, now));
}

bool RetryBudget::take(const BudgetSpec& spec, Instant now) {
  if (spec.ratio < 0) return true;
  if (left(spec, now) < 1) return false;
  fade(spec, now);
  double from_calls = std::min(earned_, 1.0);
  earned_ -= from_calls;
  used_ += 1 - from_calls;
  return true;
}

}  // namespace lb::policy
