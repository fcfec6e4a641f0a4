#include "policy/retry.h"

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
  return spent.attempts <= plan.retries ? Next::Kind::elsewhere : Next::Kind::stop;
}

}  // namespace

Next after(const RetryPlan& plan, Outcome outcome, const Spent& spent, Instant deadline,
           Instant now) {
  if (now >= deadline || !spent.replayable) return {Next::Kind::stop};
  return {kind_after(plan, outcome, spent)};
}

}  // namespace lb::policy
