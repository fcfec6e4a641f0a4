#include "policy/retry.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::policy {
namespace {

constexpr Instant kNow{1'000'000'000'000};
constexpr Instant kDeadline = kNow + Duration::from_s(60);

Instant later(int64_t ms) { return kNow + Duration::from_ms(ms); }

RetryPlan plan_of(RetryPolicy policy, uint32_t retries = 2) {
  return {policy, retries, Duration::from_ms(100), Duration::from_ms(1'000)};
}

Next::Kind next(Outcome outcome, Spent spent, uint32_t retries = 2, RetryPolicy policy = RetryPolicy::elsewhere) {
  return after(plan_of(policy, retries), outcome, spent, kDeadline, kNow).kind;
}

void the_callers_fault_is_final(void**) {
  for (RetryPolicy policy : {RetryPolicy::elsewhere, RetryPolicy::again, RetryPolicy::forever})
    assert_true(next(Outcome::caller_fault, {1}, 100, policy) == Next::Kind::stop);
}

void the_targets_fault_goes_elsewhere(void**) {
  for (RetryPolicy policy : {RetryPolicy::elsewhere, RetryPolicy::again}) {
    assert_true(next(Outcome::target_fault, {1}, 2, policy) == Next::Kind::elsewhere);
    assert_true(next(Outcome::target_fault, {2}, 2, policy) == Next::Kind::elsewhere);
    assert_true(next(Outcome::target_fault, {3}, 2, policy) == Next::Kind::stop);
    assert_true(next(Outcome::target_fault, {4}, 2, policy) == Next::Kind::stop);
    assert_true(next(Outcome::target_fault, {1}, 0, policy) == Next::Kind::stop);
    assert_true(next(Outcome::target_fault, {1}, 1, policy) == Next::Kind::elsewhere);
  }
  assert_true(next(Outcome::target_fault, {1'000'000}, 0, RetryPolicy::forever) == Next::Kind::elsewhere);
}

void a_stale_connection_is_free_once(void**) {
  assert_true(next(Outcome::stale, {1}, 0) == Next::Kind::again);
  assert_true(next(Outcome::stale, {3}, 2) == Next::Kind::again);
  assert_true(next(Outcome::stale, {1, true}, 0) == Next::Kind::stop);
  assert_true(next(Outcome::stale, {1, true}, 2) == Next::Kind::elsewhere);
  assert_true(next(Outcome::stale, {3, true}, 2) == Next::Kind::stop);
}

void without_the_body_there_is_no_second(void**) {
  for (Outcome outcome : {Outcome::caller_fault, Outcome::target_fault, Outcome::stale})
    for (RetryPolicy policy : {RetryPolicy::elsewhere, RetryPolicy::again, RetryPolicy::forever})
      assert_true(next(outcome, {1, false, false}, 100, policy) == Next::Kind::stop);
}

void the_deadline_ends_it(void**) {
  for (RetryPolicy policy : {RetryPolicy::elsewhere, RetryPolicy::again, RetryPolicy::forever}) {
    for (Outcome outcome : {Outcome::target_fault, Outcome::stale}) {
      assert_true(after(plan_of(policy), outcome, {1}, kNow + Duration{1}, kNow).kind != Next::Kind::stop);
      assert_true(after(plan_of(policy), outcome, {1}, kNow, kNow).kind == Next::Kind::stop);
      assert_true(after(plan_of(policy), outcome, {1}, kNow - Duration{1}, kNow).kind == Next::Kind::stop);
    }
  }
}

// --- Pauses ---

void elsewhere_was_all_there_is(void**) {
  Rng rng(1);
  assert_false(pause_before_again(plan_of(RetryPolicy::elsewhere), {}, {}, kDeadline, kNow, rng).has_value());
  assert_true(pause_before_again(plan_of(RetryPolicy::again), {}, {}, kDeadline, kNow, rng).has_value());
  assert_true(pause_before_again(plan_of(RetryPolicy::forever), {}, {}, kDeadline, kNow, rng).has_value());
}

struct Bounds {
  Duration low = Duration::max(), high = Duration::zero();
};

Bounds of_many(const RetryPlan& plan, Duration last) {
  Bounds bounds;
  Rng rng(3);
  for (int i = 0; i < 5'000; i++) {
    Duration pause = pause_before_again(plan, last, {}, kDeadline, kNow, rng).value_or(Duration{-1});
    bounds.low = std::min(bounds.low, pause);
    bounds.high = std::max(bounds.high, pause);
  }
  return bounds;
}

void assert_about(Bounds bounds, int64_t low_ms, int64_t high_ms) {
  int64_t slack = (high_ms - low_ms) / 100;
  assert_true(bounds.low.ns >= low_ms * 1'000'000 && bounds.low.ms() <= low_ms + slack);
  assert_true(bounds.high.ns <= high_ms * 1'000'000 && bounds.high.ms_ceil() >= high_ms - slack);
}

void pauses_grow_by_chance(void**) {
  RetryPlan plan = plan_of(RetryPolicy::again);
  assert_about(of_many(plan, Duration::zero()), 100, 300);
  assert_about(of_many(plan, Duration::from_ms(50)), 100, 300);
  assert_about(of_many(plan, Duration::from_ms(200)), 100, 600);
  assert_about(of_many(plan, Duration::from_ms(900)), 100, 1'000);
  plan.backoff_max = Duration::from_ms(10);  // Less than the least: the least it is.
  assert_about(of_many(plan, Duration::from_ms(900)), 100, 100);
  plan.backoff = plan.backoff_max = Duration::zero();
  assert_about(of_many(plan, Duration::zero()), 0, 0);
}

void never_shorter_than_told(void**) {
  Rng rng(1);
  RetryPlan plan = plan_of(RetryPolicy::again);
  for (int i = 0; i < 100; i++) {
    auto told = [&](int64_t ms) { return pause_before_again(plan, {}, Duration::from_ms(ms), kDeadline, kNow, rng); };
    assert_int_equal(told(5'000)->ms(), 5'000);  // Also beyond backoff_max.
    assert_true(told(200)->ms() >= 200);
    assert_true(told(-200)->ms() >= 100);
  }
}

void nothing_when_the_deadline_would_pass(void**) {
  Rng rng(1);
  RetryPlan plan = plan_of(RetryPolicy::forever);
  plan.backoff = plan.backoff_max = Duration::from_ms(100);
  assert_true(pause_before_again(plan, {}, {}, later(101), kNow, rng).has_value());
  assert_false(pause_before_again(plan, {}, {}, later(100), kNow, rng).has_value());
  assert_false(pause_before_again(plan, {}, Duration::from_s(60), kDeadline, kNow, rng).has_value());
  assert_true(pause_before_again(plan, {}, Duration::from_s(60) - Duration{1}, kDeadline, kNow, rng).has_value());
  assert_false(pause_before_again(plan, {}, Duration::max(), kDeadline, kNow, rng).has_value());
}

// --- The budget of all ---

int takes(RetryBudget& budget, const BudgetSpec& spec, Instant now) {
  int taken = 0;
  while (taken < 100'000 && budget.take(spec, now)) taken++;
  return taken;
}

void the_floor_saves_ten_seconds(void**) {
  RetryBudget budget;
  BudgetSpec spec{0, 10};
  assert_int_equal(takes(budget, spec, kNow), 100);
  assert_false(budget.take(spec, kNow));
  assert_false(budget.take(spec, later(99)));
  assert_true(budget.take(spec, later(101)));
  assert_false(budget.take(spec, later(101)));
  assert_int_equal(takes(budget, spec, later(1'102)), 10);
  assert_int_equal(takes(budget, spec, later(1'000'000)), 100);
}

void calls_earn_their_share(void**) {
  RetryBudget budget;
  BudgetSpec spec{0.25, 0};
  for (int i = 0; i < 3; i++) budget.on_call(spec, kNow);
  assert_false(budget.take(spec, kNow));
  budget.on_call(spec, kNow);
  assert_true(budget.take(spec, kNow));
  assert_false(budget.take(spec, kNow));
  for (int i = 0; i < 400; i++) budget.on_call(spec, kNow);
  assert_int_equal(takes(budget, spec, kNow), 100);
}

void what_is_earned_fades(void**) {
  RetryBudget budget;
  BudgetSpec spec{0.5, 0};
  for (int i = 0; i < 200; i++) budget.on_call(spec, kNow);
  assert_true(budget.left(spec, later(5'000)) > 49.9 && budget.left(spec, later(5'000)) < 50.1);
  assert_true(budget.left(spec, later(10'000)) < 0.01);
  assert_false(budget.take(spec, later(10'000)));
}

// What was earned goes first: the floor stays for those who earn nothing.
void both_add_up(void**) {
  RetryBudget budget;
  BudgetSpec spec{0.2, 1};
  for (int i = 0; i < 50; i++) budget.on_call(spec, kNow);
  assert_true(budget.left(spec, kNow) > 19.9 && budget.left(spec, kNow) < 20.1);
  for (int i = 0; i < 10; i++) assert_true(budget.take(spec, kNow));
  assert_int_equal(takes(budget, spec, later(10'000)), 10);
}

void none_and_no_budget_at_all(void**) {
  RetryBudget none, no_budget;
  for (int i = 0; i < 100; i++) none.on_call({0, 0}, kNow);
  assert_int_equal(takes(none, {0, 0}, kNow), 0);
  assert_int_equal(takes(no_budget, {-1, 0}, kNow), 100'000);
}

void a_clock_that_goes_back_earns_nothing(void**) {
  RetryBudget budget;
  BudgetSpec spec{0, 10};
  assert_int_equal(takes(budget, spec, kNow), 100);
  assert_int_equal(takes(budget, spec, later(-5'000)), 0);
  assert_int_equal(takes(budget, spec, later(1'001)), 10);
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_callers_fault_is_final),
      cmocka_unit_test(the_targets_fault_goes_elsewhere),
      cmocka_unit_test(a_stale_connection_is_free_once),
      cmocka_unit_test(without_the_body_there_is_no_second),
      cmocka_unit_test(the_deadline_ends_it),
      cmocka_unit_test(elsewhere_was_all_there_is),
      cmocka_unit_test(pauses_grow_by_chance),
      cmocka_unit_test(never_shorter_than_told),
      cmocka_unit_test(nothing_when_the_deadline_would_pass),
      cmocka_unit_test(the_floor_saves_ten_seconds),
      cmocka_unit_test(calls_earn_their_share),
      cmocka_unit_test(what_is_earned_fades),
      cmocka_unit_test(both_add_up),
      cmocka_unit_test(none_and_no_budget_at_all),
      cmocka_unit_test(a_clock_that_goes_back_earns_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
