#include "policy/health.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::policy {
namespace {

constexpr Instant kNow{1'000'000'000'000};
constexpr Cooldowns kCooldowns;
constexpr BreakerSpec kSpec;  // Three in a row; half of ten in 30 s; 5 s, doubling up to 300 s; slow start 10 s.

Instant after_ms(int64_t ms) { return kNow + Duration::from_ms(ms); }

Duration fault(Health& health, Instant now, bool probe = false, bool at_once = false, BreakerSpec spec = kSpec) {
  return health.on_fault(probe, at_once, spec, now);
}

Duration good(Health& health, Instant now, bool probe = false, bool slow = false, BreakerSpec spec = kSpec) {
  return health.on_good(probe, slow, spec, now);
}

// Errors in a row only, or a rate only.
BreakerSpec by_errors() {
  BreakerSpec spec;
  spec.rate = 0;
  return spec;
}
BreakerSpec by_rate() {
  BreakerSpec spec;
  spec.errors = 0;
  return spec;
}

// --- Rules ---

void marks_of_verdicts(void**) {
  HealthRules rules;
  assert_true(rules.mark(Verdict::good) == Mark::none);
  assert_true(rules.mark(Verdict::no_fault) == Mark::none);
  assert_true(rules.mark(Verdict::limited) == Mark::cool);
  assert_true(rules.mark(Verdict::overloaded) == Mark::cool);
  assert_true(rules.mark(Verdict::faulty) == Mark::count);
  assert_true(rules.mark(Verdict::unreachable) == Mark::endpoint);
  assert_true(rules.mark(Verdict::timed_out) == Mark::count);
  assert_true(rules.mark(Verdict::key_refused) == Mark::key);
  assert_true(rules.mark(Verdict::exhausted) == Mark::key);
  assert_true(rules.mark(Verdict::not_found) == Mark::cool);
}

void cooldowns_without_a_word_of_the_upstream(void**) {
  HealthRules rules;
  assert_int_equal(rules.cooldown(Verdict::limited, {}).ms(), 5'000);
  assert_int_equal(rules.cooldown(Verdict::overloaded, {}).ms(), 5'000);
  assert_int_equal(rules.cooldown(Verdict::key_refused, {}).ms(), 60'000);
  assert_int_equal(rules.cooldown(Verdict::exhausted, {}).ms(), 600'000);
  assert_int_equal(rules.cooldown(Verdict::not_found, {}).ms(), 60'000);
}

// Where it speaks of load its word is law, shorter or longer; what is refused is out at least as long as we think.
void cooldowns_as_told(void**) {
  HealthRules rules;
  for (Verdict verdict : {Verdict::limited, Verdict::overloaded})
    for (int64_t ms : {0, 1, 4'999, 90'000}) assert_int_equal(rules.cooldown(verdict, Duration::from_ms(ms)).ms(), ms);
  for (Verdict verdict : {Verdict::key_refused, Verdict::not_found}) {
    assert_int_equal(rules.cooldown(verdict, Duration::from_s(59)).ms(), 60'000);
    assert_int_equal(rules.cooldown(verdict, Duration::from_s(61)).ms(), 61'000);
  }
  assert_int_equal(rules.cooldown(Verdict::exhausted, Duration::from_s(599)).ms(), 600'000);
  assert_int_equal(rules.cooldown(Verdict::exhausted, Duration::from_s(601)).ms(), 601'000);
}

// --- Cooldowns ---

void a_fresh_one_is_in(void**) {
  Health health;
  assert_true(health.may_take(Instant{0}) && !health.half_open(kNow) && !health.on_dispatch(kNow));
  assert_true(health.outage(kNow) == Outage::none && health.errors() == 0);
  assert_true(health.warmth(kSpec, kNow) >= 1);
}

void a_cooldown_ends_at_its_end(void**) {
  Health health;
  assert_int_equal(health.cool(Duration::from_s(5), Outage::told, kCooldowns, kNow).ms(), 5'000);
  assert_true(health.open_at() == after_ms(5'000) && health.outage(kNow) == Outage::told);
  assert_false(health.may_take(after_ms(5'000) - Duration{1}));
  assert_true(health.may_take(after_ms(5'000)));
  assert_false(health.on_dispatch(after_ms(5'000)));  // It is no breaker: there is no probe.
  assert_true(health.warmth(kSpec, after_ms(5'000)) >= 1);
}

void waits_have_a_floor_and_a_ceiling(void**) {
  auto cooled = [](Duration length) {
    Health health;
    return health.cool(length, Outage::told, kCooldowns, kNow).ns;
  };
  assert_int_equal(cooled(Duration::zero()), 100'000'000);
  assert_int_equal(cooled(Duration::from_s(-5)), 100'000'000);
  assert_int_equal(cooled(kCooldowns.floor + Duration{1}), 100'000'001);
  assert_int_equal(cooled(kCooldowns.ceiling), Duration::from_s(86'400).ns);
  assert_int_equal(cooled(kCooldowns.ceiling + Duration{1}), Duration::from_s(86'400).ns);
  assert_int_equal(cooled(Duration::max()), Duration::from_s(86'400).ns);
}

void a_cooldown_only_extends(void**) {
  Health health;
  health.cool(Duration::from_s(60), Outage::key, kCooldowns, kNow);
  // What is left of the longer one, and why.
  assert_int_equal(health.cool(Duration::from_s(1), Outage::told, kCooldowns, after_ms(10'000)).ms(), 50'000);
  assert_true(health.open_at() == after_ms(60'000) && health.outage(after_ms(11'000)) == Outage::key);
  good(health, after_ms(11'000));
  health.on_neutral(false);
  assert_true(health.open_at() == after_ms(60'000) && health.outage(after_ms(11'000)) == Outage::key);
  health.cool(Duration::from_s(60), Outage::told, kCooldowns, after_ms(20'000));
  assert_true(health.open_at() == after_ms(80'000) && health.outage(after_ms(60'000)) == Outage::told);
}

// Each reason holds for its own time, whichever came first: a fault that is forgiven must not hide another.
void the_worst_reason_counts(void**) {
  Health health;
  health.mark_down(Duration::from_s(2), kNow);
  health.on_fault(false, true, kSpec, kNow);
  health.cool(Duration::from_s(4), Outage::told, kCooldowns, kNow);
  health.cool(Duration::from_s(3), Outage::key, kCooldowns, kNow);
  assert_true(health.open_at() == after_ms(5'000));
  const Outage expected[] = {Outage::manual, Outage::manual, Outage::key, Outage::told, Outage::fault, Outage::none};
  for (int64_t s = 0; s <= 5; s++) {
    assert_true(health.outage(after_ms(s * 1'000)) == expected[s]);
    if (s > 0) assert_true(health.outage(after_ms(s * 1'000) - Duration{1}) == expected[s - 1]);
  }
  assert_true(health.on_dispatch(after_ms(5'000)));
  assert_true(health.outage(after_ms(5'000)) == Outage::fault);  // Beside its probe.
}

// --- The breaker opens ---

void errors_in_a_row(void**) {
  Health health;
  assert_int_equal(fault(health, kNow).ns, 0);
  assert_int_equal(fault(health, kNow).ns, 0);
  good(health, kNow);
  assert_int_equal(health.errors(), 0);
  assert_int_equal(fault(health, kNow).ns + fault(health, kNow).ns, 0);
  assert_true(health.may_take(kNow));
  health.on_neutral(false);
  assert_int_equal(fault(health, kNow).ms(), 5'000);
  assert_int_equal(health.errors(), 3);
  assert_true(health.outage(kNow) == Outage::fault && !health.may_take(kNow));
  Health off;
  for (int i = 0; i < 9; i++) assert_int_equal(fault(off, kNow, false, false, by_rate()).ns, 0);
}

void a_fault_that_counts_at_once(void**) {
  Health health;
  assert_int_equal(fault(health, kNow, false, true).ms(), 5'000);
}

void a_share_of_failures(void**) {
  BreakerSpec spec = by_rate();
  Health health;
  for (int i = 0; i < 4; i++) {
    good(health, kNow, false, false, spec);
    assert_int_equal(fault(health, kNow, false, false, spec).ns, 0);
  }
  good(health, kNow, false, false, spec);
  assert_int_equal(fault(health, kNow, false, false, spec).ms(), 5'000);  // The tenth, and half of them.
  Health less;
  for (int i = 0; i < 6; i++) good(less, kNow, false, false, spec);
  for (int i = 0; i < 5; i++) assert_int_equal(fault(less, kNow, false, false, spec).ns, 0);
  assert_int_equal(fault(less, kNow, false, false, spec).ms(), 5'000);  // Six of twelve.
  Health off;
  for (int i = 0; i < 50; i++) assert_int_equal(fault(off, kNow, false, false, [] {
    BreakerSpec none = by_errors();
    none.errors = 0;
    return none;
  }()).ns, 0);
}

void old_attempts_are_forgotten(void**) {
  BreakerSpec spec = by_rate();
  Health health;
  for (int i = 0; i < 9; i++) fault(health, kNow, false, false, spec);
  assert_int_equal(fault(health, after_ms(30'000), false, false, spec).ns, 0);
  Health young;
  for (int i = 0; i < 9; i++) fault(young, kNow, false, false, spec);
  assert_true(fault(young, after_ms(24'999), false, false, spec).ns > 0);  // Five sixths are never forgotten.
}

void a_share_of_slow_ones(void**) {
  BreakerSpec spec;
  spec.slow = Duration::from_ms(100);
  Health health;
  for (int i = 0; i < 5; i++) assert_int_equal(good(health, kNow, false, false, spec).ns, 0);
  for (int i = 0; i < 4; i++) assert_int_equal(good(health, kNow, false, true, spec).ns, 0);
  assert_int_equal(good(health, kNow, false, true, spec).ms(), 5'000);
  assert_true(health.outage(kNow) == Outage::fault);
  spec.slow_rate = 0;
  Health off;
  for (int i = 0; i < 50; i++) assert_int_equal(good(off, kNow, false, true, spec).ns, 0);
  Health no_threshold;
  for (int i = 0; i < 50; i++) assert_int_equal(good(no_threshold, kNow, false, true, kSpec).ns, 0);
}

// --- Half-open ---

Health opened(Instant at = kNow) {
  Health health;
  fault(health, at, false, true);
  return health;
}

void exactly_one_probe_goes_through(void**) {
  Health health = opened();
  assert_false(health.on_dispatch(after_ms(4'999)));  // Sent in need: proves nothing.
  assert_false(health.half_open(after_ms(4'999)));
  assert_true(health.half_open(after_ms(5'000)) && health.may_take(after_ms(5'000)));
  assert_true(health.on_dispatch(after_ms(5'000)));
  assert_false(health.may_take(after_ms(5'000)));
  assert_false(health.may_take(after_ms(5'000'000)));
  assert_false(health.on_dispatch(after_ms(6'000)));
  good(health, after_ms(6'000), true);
  assert_true(health.may_take(after_ms(6'000)) && health.outage(after_ms(6'000)) == Outage::none);
  assert_int_equal(health.errors(), 0);
  assert_false(health.on_dispatch(after_ms(6'000)));
}

void a_cancelled_probe_gives_its_place_back(void**) {
  Health health = opened();
  assert_true(health.on_dispatch(after_ms(5'000)));
  health.on_neutral(false);  // Another attempt: not the probe.
  assert_false(health.may_take(after_ms(5'001)));
  health.on_neutral(true);
  assert_true(health.may_take(after_ms(5'001)) && health.half_open(after_ms(5'001)));
  assert_true(health.on_dispatch(after_ms(5'001)));
  assert_false(health.may_take(after_ms(5'001)));
}

void what_went_out_before_proves_nothing(void**) {
  Health health = opened();
  good(health, after_ms(1'000));
  assert_true(health.open_at() == after_ms(5'000));
  good(health, after_ms(6'000));
  assert_true(health.half_open(after_ms(6'000)));
  assert_true(health.on_dispatch(after_ms(6'000)));
  good(health, after_ms(7'000));
  assert_false(health.may_take(after_ms(7'000)));
}

void each_time_twice_as_long(void**) {
  Health health = opened();
  Instant now = kNow;
  for (int64_t seconds : {5, 10, 20, 40, 80, 160, 300, 300}) {
    assert_int_equal((health.open_at() - now).ns, Duration::from_s(seconds).ns);
    now = health.open_at();
    assert_true(health.on_dispatch(now));
    assert_true(fault(health, now, true) > Duration::zero());  // One failure is enough.
  }
}

void shortly_after_a_recovery_too(void**) {
  for (int64_t ms : {0, 1'000, 299'999, 300'001}) {
    Health health = opened();
    health.on_dispatch(after_ms(5'000));
    good(health, after_ms(5'000), true);
    assert_int_equal(fault(health, after_ms(5'000 + ms), false, true).ms(), ms < 300'000 ? 10'000 : 5'000);
  }
}

// Nothing from before is in the window after a recovery.
void a_recovery_begins_anew(void**) {
  Health health;
  for (int i = 0; i < 10; i++) good(health, kNow);
  for (int i = 0; i < 3; i++) fault(health, kNow);
  health.on_dispatch(after_ms(5'000));
  good(health, after_ms(5'000), true);
  assert_int_equal(fault(health, after_ms(5'001)).ns, 0);
  assert_int_equal(fault(health, after_ms(5'001)).ns, 0);
}

// One that went out before it opened, and fails behind it: no reason to come back sooner, none to wait twice as long.
void a_straggler_fails(void**) {
  Health health = opened();
  fault(health, after_ms(3'000), false, true);
  assert_true(health.open_at() == after_ms(8'000));
  assert_true(health.on_dispatch(after_ms(8'000)));
  assert_int_equal(fault(health, after_ms(8'000), true).ms(), 10'000);
}

// While the probe is out it is told to wait, or taken out by hand: that outlasts the probe.
void a_good_probe_ends_no_other_outage(void**) {
  for (bool by_hand : {false, true}) {
    Health health = opened();
    assert_true(health.on_dispatch(after_ms(5'000)));
    by_hand ? health.mark_down(Duration::from_s(60), after_ms(5'000))
            : void(health.cool(Duration::from_s(60), Outage::told, kCooldowns, after_ms(5'000)));
    good(health, after_ms(6'000), true);
    assert_false(health.may_take(after_ms(64'999)));
    assert_true(health.outage(after_ms(6'000)) == (by_hand ? Outage::manual : Outage::told));
    assert_true(health.may_take(after_ms(65'000)));
  }
}

// --- Slow start ---

void it_comes_back_slowly(void**) {
  Health health = opened();
  health.on_dispatch(after_ms(5'000));
  good(health, after_ms(5'000), true);
  auto warmth = [&](int64_t ms) { return health.warmth(kSpec, after_ms(5'000 + ms)); };
  assert_true(warmth(0) > 0.0999 && warmth(0) < 0.1001);
  assert_true(warmth(5'000) > 0.5499 && warmth(5'000) < 0.5501);
  assert_true(warmth(9'999) < 1 && warmth(10'000) >= 1 && warmth(100'000) >= 1);
  double before = 0;
  for (int64_t ms = 0; ms <= 10'000; ms += 100) {
    assert_true(warmth(ms) > before);
    before = warmth(ms);
  }
}

void without_a_slow_start(void**) {
  BreakerSpec spec;
  spec.slow_start = Duration::zero();
  Health health = opened();
  health.on_dispatch(after_ms(5'000));
  good(health, after_ms(5'000), true, false, spec);
  assert_true(health.warmth(spec, after_ms(5'000)) >= 1);
}

// --- By hand ---

void down_by_hand(void**) {
  Health health;
  health.mark_down(Duration::from_ms(1), kNow);  // No floor: people mean what they say.
  assert_true(health.outage(kNow) == Outage::manual && health.open_at() == after_ms(1));
  good(health, kNow);
  assert_false(health.may_take(kNow));
  health.mark_down(Duration::max(), kNow);
  assert_false(health.may_take(kNow + Duration::from_s(1'000'000'000)));
}

void up_by_hand(void**) {
  Health health = opened();
  for (int i = 0; i < 4; i++) {
    health.on_dispatch(health.open_at());
    fault(health, health.open_at(), true);
  }
  health.mark_up();
  assert_true(health.may_take(kNow) && !health.half_open(after_ms(1'000'000)));
  assert_true(health.outage(kNow) == Outage::none && health.errors() == 0 && health.warmth(kSpec, kNow) >= 1);
  assert_int_equal(fault(health, kNow).ns + fault(health, kNow).ns, 0);
  assert_int_equal(fault(health, kNow).ms(), 5'000);  // As the first time.
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(marks_of_verdicts),
      cmocka_unit_test(cooldowns_without_a_word_of_the_upstream),
      cmocka_unit_test(cooldowns_as_told),
      cmocka_unit_test(a_fresh_one_is_in),
      cmocka_unit_test(a_cooldown_ends_at_its_end),
      cmocka_unit_test(waits_have_a_floor_and_a_ceiling),
      cmocka_unit_test(a_cooldown_only_extends),
      cmocka_unit_test(the_worst_reason_counts),
      cmocka_unit_test(errors_in_a_row),
      cmocka_unit_test(a_fault_that_counts_at_once),
      cmocka_unit_test(a_share_of_failures),
      cmocka_unit_test(old_attempts_are_forgotten),
      cmocka_unit_test(a_share_of_slow_ones),
      cmocka_unit_test(exactly_one_probe_goes_through),
      cmocka_unit_test(a_cancelled_probe_gives_its_place_back),
      cmocka_unit_test(what_went_out_before_proves_nothing),
      cmocka_unit_test(each_time_twice_as_long),
      cmocka_unit_test(shortly_after_a_recovery_too),
      cmocka_unit_test(a_recovery_begins_anew),
      cmocka_unit_test(a_straggler_fails),
      cmocka_unit_test(a_good_probe_ends_no_other_outage),
      cmocka_unit_test(it_comes_back_slowly),
      cmocka_unit_test(without_a_slow_start),
      cmocka_unit_test(down_by_hand),
      cmocka_unit_test(up_by_hand),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
