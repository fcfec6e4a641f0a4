#include "policy/quota.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::policy {
namespace {

// Not at the start of a second: slots and minutes must not fall together by luck.
constexpr Instant kNow{1'000'300'000'000};
constexpr WindowKind kKinds[] = {WindowKind::sliding, WindowKind::fixed, WindowKind::aligned, WindowKind::bucket};
constexpr Metric kMetrics[] = {Metric::requests, Metric::tokens, Metric::input_tokens, Metric::output_tokens,
                               Metric::money};

Instant after_ms(int64_t ms) { return kNow + Duration::from_ms(ms); }

Charge tokens(uint64_t count) { return {count, 0, 0}; }

Quota tokens_in(WindowKind kind, uint64_t limit, Instant origin = kNow) {
  return Quota({Metric::tokens, kind, Duration::from_s(60), limit}, origin);
}

// The three answers are one.
bool fits(const Quota& quota, const Charge& charge, Instant now) {
  bool fits = quota.fits(charge, now);
  assert_int_equal(fits, quota.share(charge, now) < 1);
  assert_int_equal(fits, quota.fits_at(charge, now) <= now);
  return fits;
}

// --- What a call takes ---

void each_metric_takes_its_own(void**) {
  Charge charge{70, 30, 5'000};
  assert_int_equal(charge.of(Metric::requests), 1);
  assert_int_equal(charge.of(Metric::tokens), 100);
  assert_int_equal(charge.of(Metric::input_tokens), 70);
  assert_int_equal(charge.of(Metric::output_tokens), 30);
  assert_int_equal(charge.of(Metric::money), 5'000);
}

void every_call_has_a_token(void**) {
  Charge none;
  assert_int_equal(none.of(Metric::tokens), 1);
  assert_int_equal(none.of(Metric::input_tokens), 1);
  assert_int_equal(none.of(Metric::output_tokens), 0);
  assert_int_equal((Charge{0, 1}).of(Metric::tokens), 1);
}

void nonsense_does_not_overflow(void**) {
  Charge all{UINT64_MAX, UINT64_MAX, UINT64_MAX};
  assert_int_equal(all.of(Metric::tokens), 2 * Charge::kTokensMax);
  assert_int_equal(all.of(Metric::input_tokens), Charge::kTokensMax);
  assert_int_equal(all.of(Metric::money), uint64_t{1} << 50);
  for (WindowKind kind : kKinds) {
    for (Metric metric : kMetrics) {
      Quota quota({metric, kind, Duration::from_s(60), UINT64_MAX}, kNow);
      for (int i = 0; i < 1'000; i++) {
        assert_true(fits(quota, all, kNow));
        quota.charge(all, kNow);
      }
      quota.correct(tokens(1), all, kNow, kNow);
      assert_true(quota.used(kNow) > 0);
      assert_true(quota.limit() > quota.used(kNow));
    }
  }
}

// --- The limit ---

void at_the_limit_and_one_over(void**) {
  for (WindowKind kind : kKinds) {
    Quota quota = tokens_in(kind, 100);
    assert_true(fits(quota, tokens(100), kNow));
    assert_false(fits(quota, tokens(101), kNow));
    quota.charge(tokens(60), kNow);
    assert_int_equal(quota.used(kNow), 60);
    assert_true(fits(quota, tokens(40), kNow));
    assert_false(fits(quota, tokens(41), kNow));
    double share = quota.share(tokens(40), kNow);
    assert_true(share > 0.599 && share < 0.601);
    quota.charge(tokens(40), kNow);
    assert_false(fits(quota, {}, kNow));  // Every call has a token.
    assert_true(quota.share({}, kNow) >= 1);
  }
}

void requests_at_the_limit(void**) {
  for (WindowKind kind : kKinds) {
    Quota quota({Metric::requests, kind, Duration::from_s(60), 3}, kNow);
    for (int i = 0; i < 3; i++) {
      assert_true(fits(quota, tokens(1'000'000), kNow));
      quota.charge(tokens(5), kNow);
    }
    assert_false(fits(quota, {}, kNow));
  }
}

void larger_than_the_limit_never_fits(void**) {
  for (WindowKind kind : kKinds) {
    Quota quota = tokens_in(kind, 100);
    assert_true(quota.fits_at(tokens(101), kNow) == Instant::never());
    assert_true(quota.fits_at(tokens(100), kNow) == kNow);
    assert_true(quota.share(tokens(101), kNow) >= 1);
  }
}

// A full window of a large limit must not round to: does not fit, nor the other way round.
void shares_do_not_round_over_the_border(void**) {
  constexpr uint64_t kLimit = uint64_t{1} << 62;
  for (WindowKind kind : {WindowKind::sliding, WindowKind::fixed}) {
    Quota quota({Metric::output_tokens, kind, Duration::from_s(60), kLimit}, kNow);
    assert_true(fits(quota, {0, 0}, kNow));
    Quota full = tokens_in(kind, 3);
    full.charge(tokens(3), kNow);
    Quota nothing({Metric::output_tokens, kind, Duration::from_s(60), 3}, kNow);
    nothing.charge({0, 3}, kNow);
    assert_true(fits(nothing, {5, 0}, kNow));
    assert_false(fits(nothing, {5, 1}, kNow));
  }
}

void a_new_limit_keeps_the_count(void**) {
  for (WindowKind kind : kKinds) {
    Quota quota = tokens_in(kind, 100);
    quota.charge(tokens(60), kNow);
    quota.set_limit(50);
    assert_int_equal(quota.limit(), 50);
    assert_int_equal(quota.spec().limit, 50);
    assert_int_equal(quota.used(kNow), 60);
    assert_false(fits(quota, tokens(1), kNow));
    quota.set_limit(61);
    assert_true(fits(quota, tokens(1), kNow));
    assert_false(fits(quota, tokens(2), kNow));
  }
}

// --- Sliding ---

void sliding_counts_for_the_period_and_less_than_a_slot_more(void**) {
  Quota quota = tokens_in(WindowKind::sliding, 100);
  quota.charge(tokens(50), kNow);
  quota.charge(tokens(50), after_ms(10'000));
  Instant half = quota.fits_at(tokens(50), after_ms(10'000)), all = quota.fits_at(tokens(51), after_ms(10'000));
  assert_true(half >= after_ms(60'000) && half < after_ms(61'000));
  assert_true(all >= after_ms(70'000) && all < after_ms(71'000));
  assert_false(fits(quota, tokens(50), half - Duration{1}));
  assert_true(fits(quota, tokens(50), half));
  assert_false(fits(quota, tokens(51), all - Duration{1}));
  assert_true(fits(quota, tokens(51), all));
  assert_int_equal(quota.used(all), 0);
}

// --- Fixed and aligned ---

void fixed_windows_begin_at_the_origin(void**) {
  for (WindowKind kind : {WindowKind::fixed, WindowKind::aligned}) {
    Quota quota = tokens_in(kind, 100);
    quota.charge(tokens(100), after_ms(59'999));
    assert_false(fits(quota, tokens(1), after_ms(59'999)));
    assert_true(quota.fits_at(tokens(1), after_ms(59'999)) == after_ms(60'000));
    assert_false(fits(quota, tokens(1), after_ms(60'000) - Duration{1}));
    assert_true(fits(quota, tokens(100), after_ms(60'000)));
    quota.charge(tokens(70), after_ms(60'000));
    assert_int_equal(quota.used(after_ms(60'000)), 70);
    assert_true(quota.fits_at(tokens(31), after_ms(119'000)) == after_ms(120'000));
    assert_int_equal(quota.used(after_ms(120'000)), 0);
    assert_int_equal(quota.used(after_ms(1'000'000'000)), 0);
  }
}

// An origin is an instant at which a window begins; there were others before it.
void windows_lie_on_both_sides_of_the_origin(void**) {
  Quota quota = tokens_in(WindowKind::aligned, 10, after_ms(90'000));
  quota.charge(tokens(10), after_ms(0));
  assert_false(fits(quota, tokens(1), after_ms(29'999)));
  Instant next = quota.fits_at(tokens(1), after_ms(0));
  assert_true(next == after_ms(30'000));
  assert_true(fits(quota, tokens(10), next));
  quota.charge(tokens(10), after_ms(30'000));
  assert_false(fits(quota, tokens(1), after_ms(89'999)));
  assert_true(fits(quota, tokens(10), after_ms(90'000)));
}

// --- Bucket ---

void a_bucket_refills_evenly(void**) {
  Quota quota = tokens_in(WindowKind::bucket, 60);
  quota.charge(tokens(60), kNow);
  assert_int_equal(quota.used(kNow), 60);
  assert_false(fits(quota, tokens(1), after_ms(999)));
  assert_true(fits(quota, tokens(1), after_ms(1'001)));
  assert_false(fits(quota, tokens(2), after_ms(1'999)));
  Instant ten = quota.fits_at(tokens(10), kNow);
  assert_true(ten >= after_ms(10'000) && ten <= after_ms(10'000) + Duration{2});
  assert_int_equal(quota.used(after_ms(60'001)), 0);
  assert_true(fits(quota, tokens(60), after_ms(60'001)));
  assert_false(fits(quota, tokens(61), after_ms(1'000'000)));  // It holds no more than the limit.
}

void twice_the_limit_can_pass_and_no_more(void**) {
  Quota quota = tokens_in(WindowKind::bucket, 60);
  quota.charge(tokens(60), kNow);
  int passed = 60;
  for (int64_t ms = 0; ms < 60'000; ms += 10) {
    if (!quota.fits(tokens(1), after_ms(ms))) continue;
    quota.charge(tokens(1), after_ms(ms));
    passed++;
  }
  assert_true(passed >= 118 && passed <= 120);
}

// --- Corrections ---

void usage_replaces_the_estimate(void**) {
  for (WindowKind kind : kKinds) {
    Quota quota = tokens_in(kind, 1'000);
    quota.charge(tokens(100), kNow);
    quota.correct(tokens(100), tokens(30), kNow, kNow);
    assert_int_equal(quota.used(kNow), 30);
    quota.correct(tokens(30), tokens(500), kNow, kNow);
    assert_int_equal(quota.used(kNow), 500);
    quota.release(tokens(500), kNow, kNow);
    assert_int_equal(quota.used(kNow), 0);
  }
}

void a_request_is_not_corrected_but_released(void**) {
  for (WindowKind kind : kKinds) {
    Quota quota({Metric::requests, kind, Duration::from_s(60), 10}, kNow);
    quota.charge(tokens(5), kNow);
    quota.correct(tokens(5), tokens(5'000), kNow, kNow);
    assert_int_equal(quota.used(kNow), 1);
    quota.release(tokens(5), kNow, kNow);
    assert_int_equal(quota.used(kNow), 0);
  }
}

// A correction leaves the window together with its charge.
void a_correction_leaves_with_its_charge(void**) {
  Quota quota = tokens_in(WindowKind::sliding, 1'000);
  quota.charge(tokens(100), kNow);
  quota.correct(tokens(100), tokens(400), kNow, after_ms(59'000));
  assert_int_equal(quota.used(after_ms(59'000)), 400);
  assert_int_equal(quota.used(after_ms(61'000)), 0);
}

// Neither more nor less is counted in a window because of what was charged in another.
void a_late_correction_has_no_effect(void**) {
  for (WindowKind kind : kKinds) {
    for (uint64_t truth : {0, 900}) {
      if (kind == WindowKind::bucket && truth > 100) continue;  // A bucket has no windows.
      Quota quota = tokens_in(kind, 1'000);
      quota.charge(tokens(100), kNow);
      quota.correct(tokens(100), tokens(truth), kNow, after_ms(70'000));
      assert_int_equal(quota.used(after_ms(70'000)), 0);
      quota.charge(tokens(7), after_ms(71'000));
      quota.correct(tokens(100), tokens(truth), kNow, after_ms(71'000));
      quota.release(tokens(100), kNow, after_ms(71'000));
      assert_int_equal(quota.used(after_ms(71'000)), 7);
    }
  }
}

void a_reset_lies_in_between(void**) {
  for (WindowKind kind : {WindowKind::fixed, WindowKind::aligned}) {
    Quota quota = tokens_in(kind, 100);
    quota.charge(tokens(80), after_ms(59'999));
    quota.charge(tokens(50), after_ms(60'000));
    quota.correct(tokens(80), tokens(10), after_ms(59'999), after_ms(60'001));
    assert_int_equal(quota.used(after_ms(60'001)), 50);
    quota.release(tokens(80), after_ms(59'999), after_ms(60'001));
    assert_int_equal(quota.used(after_ms(60'001)), 50);
    quota.correct(tokens(50), tokens(20), after_ms(60'000), after_ms(119'999));
    assert_int_equal(quota.used(after_ms(119'999)), 20);
    quota.correct(tokens(20), tokens(90), after_ms(60'000), after_ms(120'000));
    assert_int_equal(quota.used(after_ms(120'000)), 0);
  }
}

// What has drained since the charge is gone: giving it back would take from later charges.
void a_bucket_gives_back_what_has_not_drained(void**) {
  Quota quota = tokens_in(WindowKind::bucket, 60);
  quota.charge(tokens(30), kNow);
  quota.release(tokens(30), kNow, after_ms(10'000));
  assert_int_equal(quota.used(after_ms(10'000)), 0);
  quota.charge(tokens(30), after_ms(10'000));
  quota.charge(tokens(30), after_ms(20'000));  // Twenty of the first are left.
  assert_int_equal(quota.used(after_ms(20'000)), 50);
  quota.release(tokens(30), after_ms(10'000), after_ms(20'000));
  assert_int_equal(quota.used(after_ms(20'000)), 30);
  quota.correct(tokens(30), tokens(40), after_ms(20'000), after_ms(20'000));
  assert_int_equal(quota.used(after_ms(20'000)), 40);
}

void a_clock_that_goes_back_takes_nothing_away(void**) {
  for (WindowKind kind : kKinds) {
    Quota quota = tokens_in(kind, 100);
    quota.charge(tokens(60), after_ms(61'000));
    quota.charge(tokens(20), after_ms(1'000));
    assert_int_equal(quota.used(after_ms(61'000)), 80);
    assert_int_equal(quota.used(after_ms(1'000)), 80);
    quota.correct(tokens(20), tokens(0), after_ms(1'000), after_ms(61'000));
    assert_true(quota.used(after_ms(61'000)) >= 60);
    assert_int_equal(quota.used(after_ms(200'000)), 0);
  }
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(each_metric_takes_its_own),
      cmocka_unit_test(every_call_has_a_token),
      cmocka_unit_test(nonsense_does_not_overflow),
      cmocka_unit_test(at_the_limit_and_one_over),
      cmocka_unit_test(requests_at_the_limit),
      cmocka_unit_test(larger_than_the_limit_never_fits),
      cmocka_unit_test(shares_do_not_round_over_the_border),
      cmocka_unit_test(a_new_limit_keeps_the_count),
      cmocka_unit_test(sliding_counts_for_the_period_and_less_than_a_slot_more),
      cmocka_unit_test(fixed_windows_begin_at_the_origin),
      cmocka_unit_test(windows_lie_on_both_sides_of_the_origin),
      cmocka_unit_test(a_bucket_refills_evenly),
      cmocka_unit_test(twice_the_limit_can_pass_and_no_more),
      cmocka_unit_test(usage_replaces_the_estimate),
      cmocka_unit_test(a_request_is_not_corrected_but_released),
      cmocka_unit_test(a_correction_leaves_with_its_charge),
      cmocka_unit_test(a_late_correction_has_no_effect),
      cmocka_unit_test(a_reset_lies_in_between),
      cmocka_unit_test(a_bucket_gives_back_what_has_not_drained),
      cmocka_unit_test(a_clock_that_goes_back_takes_nothing_away),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
