// Every call ends: whatever fails in whatever order, within the attempts that the plan allows and never after the
// deadline.
#include "policy/retry.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "base/rng.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}


namespace lb::policy {
namespace {

constexpr Instant kNow{1'000'000'000'000};
constexpr Outcome kAll[] = {Outcome::caller_fault, Outcome::target_fault, Outcome::stale};

void no_call_is_sent_more_often_than_planned(void**) {
  for (uint64_t seed = 1; seed <= 50'000; seed++) {
    Rng rng(seed);
    RetryPlan plan{static_cast<uint32_t>(rng.below(6))};
    Instant deadline = kNow + Duration::from_ms(static_cast<int64_t>(rng.below(1'000)));
    Instant now = kNow;
    Spent spent;
    spent.attempts = 1;
    uint32_t sent = 1;
    bool free_used = false;
    for (;;) {
      now = now + Duration::from_ms(static_cast<int64_t>(rng.below(200)));
      Outcome outcome = kAll[rng.below(3)];
      Next next = after(plan, outcome, spent, deadline, now);
      if (next.kind == Next::Kind::stop) break;
      if (now >= deadline) fail_msg("seed %zu: after the deadline", size_t{seed});
      if (outcome == Outcome::caller_fault) fail_msg("seed %zu: the caller's fault", size_t{seed});
      sent++;
      if (next.kind == Next::Kind::again) {  // Free: it does not count as an attempt.
        if (free_used || outcome != Outcome::stale) fail_msg("seed %zu: not free", size_t{seed});
        free_used = spent.stale_used = true;
      } else {
        spent.attempts++;
      }
      if (sent > 1 + plan.retries + (free_used ? 1 : 0)) fail_msg("seed %zu: %u sent", size_t{seed}, sent);
    }
  }
}

// More spent never allows more.
void spending_only_narrows(void**) {
  auto allows = [](Next next) { return next.kind != Next::Kind::stop; };
  for (uint64_t seed = 1; seed <= 20'000; seed++) {
    Rng rng(seed);
    RetryPlan plan{static_cast<uint32_t>(rng.below(5))}, generous{plan.retries + 1};
    Outcome outcome = kAll[rng.below(3)];
    Spent spent{static_cast<uint32_t>(1 + rng.below(6)), rng.below(2) == 1, true}, more = spent, lost = spent;
    more.attempts++;
    lost.replayable = false;
    Instant deadline = kNow + Duration{static_cast<int64_t>(rng.below(3)) - 1};
    bool now = allows(after(plan, outcome, spent, deadline, kNow));
    if (!now && allows(after(plan, outcome, more, deadline, kNow))) fail_msg("seed %zu: more attempts", size_t{seed});
    if (now && !allows(after(generous, outcome, spent, deadline, kNow))) fail_msg("seed %zu: retries", size_t{seed});
    if (now && !allows(after(plan, outcome, spent, Instant::never(), kNow))) fail_msg("seed %zu: time", size_t{seed});
    if (allows(after(plan, outcome, lost, deadline, kNow))) fail_msg("seed %zu: no body", size_t{seed});
  }
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(no_call_is_sent_more_often_than_planned),
      cmocka_unit_test(spending_only_narrows),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
