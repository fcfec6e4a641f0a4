// Every call ends: whatever fails in whatever order, within the attempts that the plan allows, with pauses in their
// bounds and never after the deadline; and all calls together within the budget.
#include "policy/hedge.h"
#include "policy/retry.h"

#include <algorithm>
#include <vector>

#include "base/rng.h"
#include "property/policy/law.h"

namespace lb::policy {
namespace {

constexpr Instant kNow{1'000'000'000'000};
constexpr Outcome kOutcomes[] = {Outcome::caller_fault, Outcome::target_fault, Outcome::stale};

Duration any_ms(Rng& rng, uint64_t below) { return Duration::from_ms(static_cast<int64_t>(rng.below(below))); }

RetryPlan any_plan(Rng& rng) {
  RetryPlan plan;
  plan.policy = static_cast<RetryPolicy>(rng.below(3));
  plan.retries = static_cast<uint32_t>(rng.below(6));
  plan.backoff = any_ms(rng, rng.below(4) ? 200 : 1);
  plan.backoff_max = any_ms(rng, 1'000);
  return plan;
}

void no_call_is_sent_more_often_than_planned(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    RetryPlan plan = any_plan(rng);
    Instant now = kNow, deadline = kNow + any_ms(rng, 1'000);
    Spent spent{1};
    uint32_t sent = 1;
    for (;;) {
      now = now + any_ms(rng, 200) + Duration{1};
      Outcome outcome = kOutcomes[rng.below(3)];
      Next next = after(plan, outcome, spent, deadline, now);
      if (next.kind == Next::Kind::stop) return nullptr;
      if (now >= deadline) return "after the deadline";
      if (outcome == Outcome::caller_fault) return "the caller's fault";
      sent++;
      if (next.kind == Next::Kind::again) {  // Free: it does not count as an attempt.
        if (spent.stale_used || outcome != Outcome::stale) return "not free";
        spent.stale_used = true;
      } else {
        spent.attempts++;
      }
      uint32_t free = spent.stale_used ? 1 : 0;
      if (plan.policy != RetryPolicy::forever && sent > 1 + plan.retries + free) return "too often";
    }
  });
}

// More spent never allows more.
void spending_only_narrows(void**) {
  auto allows = [](Next next) { return next.kind != Next::Kind::stop; };
  holds(kCases, [&](Rng& rng) -> const char* {
    RetryPlan plan = any_plan(rng), generous = plan;
    generous.retries++;
    Outcome outcome = kOutcomes[rng.below(3)];
    Spent spent{static_cast<uint32_t>(1 + rng.below(6)), rng.below(2) == 1, true}, more = spent, lost = spent;
    more.attempts++;
    lost.replayable = false;
    Instant deadline = kNow + Duration{static_cast<int64_t>(rng.below(3)) - 1};
    bool now = allows(after(plan, outcome, spent, deadline, kNow));
    if (!now && allows(after(plan, outcome, more, deadline, kNow))) return "more attempts";
    if (now && !allows(after(generous, outcome, spent, deadline, kNow))) return "retries";
    if (now && !allows(after(plan, outcome, spent, Instant::never(), kNow))) return "time";
    if (allows(after(plan, outcome, lost, deadline, kNow))) return "no body";
    return nullptr;
  });
}

void pauses_end_before_the_deadline(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    RetryPlan plan = any_plan(rng);
    Instant now = kNow, deadline = kNow + any_ms(rng, 5'000);
    Duration last, sum;
    for (int i = 0; i < 50; i++) {
      std::optional<Duration> told;
      if (rng.below(3) == 0) told = any_ms(rng, 500) - Duration::from_ms(50);
      std::optional<Duration> pause = pause_before_again(plan, last, told, deadline, now, rng);
      if (plan.policy == RetryPolicy::elsewhere && pause) return "it was to end there";
      if (!pause) return sum < std::max(deadline - kNow, Duration{1}) ? nullptr : "beyond the deadline";
      Duration high = std::max(plan.backoff, std::min(std::max(last, plan.backoff) * 3, plan.backoff_max));
      if (*pause < plan.backoff || (told && *pause < *told)) return "too short";
      if (*pause > std::max(high, told.value_or(Duration{}))) return "too long";
      sum = sum + *pause;
      now = now + *pause;
      if (now >= deadline) return "beyond the deadline";
      last = *pause;
    }
    return nullptr;
  });
}

// In any stretch of a run: what could be saved at its beginning, what its calls earn, and the floor.
void retries_stay_within_the_budget(void**) {
  struct Mark {
    Instant at;
    double left, earned;
    uint64_t taken;
  };
  holds(kCases, [](Rng& rng) -> const char* {
    BudgetSpec spec{rng.below(4) ? rng.unit() : 0, rng.below(3) ? 20 * rng.unit() : 0};
    RetryBudget budget;
    Instant now = kNow;
    double earned = 0;
    uint64_t taken = 0, step = 1 + rng.below(2'000'000'000);
    std::vector<Mark> marks{{now, spec.floor_per_s * 10, 0, 0}};
    for (int i = 0; i < 60; i++) {
      if (rng.below(2)) now = now + Duration{static_cast<int64_t>(rng.below(step))};
      for (uint64_t calls = rng.below(8); calls > 0; calls--, earned += spec.ratio) budget.on_call(spec, now);
      for (uint64_t tries = rng.below(rng.below(5) ? 4 : 40); tries > 0; tries--) {
        double left = budget.left(spec, now);
        bool went = budget.take(spec, now);
        if (went != (left >= 1)) return "not what is left";
        taken += went;
      }
      double left = budget.left(spec, now);
      if (left < 0 || left > earned + spec.floor_per_s * 10 + 1e-6) return "more left than there can be";
      marks.push_back({now, left, earned, taken});
      for (const Mark& mark : marks) {
        double seconds = static_cast<double>((now - mark.at).ns) * 1e-9;
        double most = mark.left + (earned - mark.earned) + spec.floor_per_s * seconds;
        if (static_cast<double>(taken - mark.taken) > most + 1e-6) return "more than the budget";
      }
    }
    return nullptr;
  });
}

// In any stretch of a run: what could be saved at its beginning, and the share of its calls.
void hedges_stay_within_their_share(void**) {
  holds(kCases, [](Rng& rng) -> const char* {
    HedgeSpec spec{0.95, Duration::zero(), rng.below(5) ? rng.unit() : 0.05, 0, 0};
    Hedges hedges;
    std::vector<std::pair<uint64_t, uint64_t>> marks{{0, 0}};  // Calls, hedges.
    uint64_t calls = 0, taken = 0;
    for (int i = 0; i < 60; i++) {
      for (uint64_t more = rng.below(rng.below(4) ? 8 : 300); more > 0; more--, calls++) hedges.on_call(spec);
      for (uint64_t tries = rng.below(rng.below(4) ? 4 : 40); tries > 0; tries--) taken += hedges.take();
      for (const auto& [calls_then, taken_then] : marks) {
        double saved = calls_then == 0 ? 0 : Hedges::kSavedMax;
        double most = saved + spec.share * static_cast<double>(calls - calls_then);
        if (static_cast<double>(taken - taken_then) > most + 1e-6) return "more than the share";
      }
      marks.emplace_back(calls, taken);
    }
    return nullptr;
  });
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(no_call_is_sent_more_often_than_planned),
      cmocka_unit_test(spending_only_narrows),
      cmocka_unit_test(pauses_end_before_the_deadline),
      cmocka_unit_test(retries_stay_within_the_budget),
      cmocka_unit_test(hedges_stay_within_their_share),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
