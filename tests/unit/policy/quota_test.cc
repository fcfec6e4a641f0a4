#include "policy/limit.h"

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

Instant after_ms(int64_t ms) { return kNow + Duration::from_ms(ms); }

bool fits(const Limit& limit, const LimitConfig& config, uint64_t tokens, Instant now) {
  bool below = limit.utilisation(config, tokens, now) < 1;
  assert_int_equal(below, limit.frees_at(config, tokens, now) <= now);
  return below;
}

void without_limits_all_fits(void**) {
  Limit limit;
  for (int i = 0; i < 1000; i++) limit.reserve(1'000'000, kNow);
  assert_true(fits(limit, {}, Limit::kTokensMax, kNow));
  assert_true(limit.utilisation({}, 1, kNow) <= 0);
  assert_int_equal(limit.requests(kNow), 1000);
  assert_int_equal(limit.tokens(kNow), 1'000'000'000);
}

void requests_at_the_bound(void**) {
  Limit limit;
  const LimitConfig three{3, 0};
  for (int i = 0; i < 3; i++) {
    assert_true(fits(limit, three, 1'000'000, kNow));
    limit.reserve(5, kNow);
  }
  assert_false(fits(limit, three, 0, kNow));
  assert_true(limit.utilisation(three, 0, kNow) >= 1);
}

void tokens_at_the_bound(void**) {
  Limit limit;
  const LimitConfig hundred{0, 100};
  assert_true(fits(limit, hundred, 100, kNow));
  assert_false(fits(limit, hundred, 101, kNow));
  limit.reserve(60, kNow);
  assert_true(fits(limit, hundred, 40, kNow));
  assert_false(fits(limit, hundred, 41, kNow));
  double used = limit.utilisation(hundred, 1, kNow);
  assert_true(used > 0.59 && used < 0.61);
}

// Every call has a token: a full limit takes none that does not know how many.
void no_estimate_counts_as_one(void**) {
  Limit limit;
  const LimitConfig ten{0, 10};
  limit.reserve(9, kNow);
  assert_true(fits(limit, ten, 0, kNow));
  limit.reserve(1, kNow);
  assert_false(fits(limit, ten, 0, kNow));
}

void the_tighter_limit_decides(void**) {
  Limit limit;
  limit.reserve(90, kNow);
  double used = limit.utilisation({10, 100}, 1, kNow);
  assert_true(used > 0.89 && used < 0.91);
  used = limit.utilisation({2, 100'000}, 1, kNow);
  assert_true(used > 0.49 && used < 0.51);
}

void a_charge_counts_for_a_minute(void**) {
  Limit limit;
  const LimitConfig one{1, 0};
  limit.reserve(0, kNow);
  Instant free = limit.frees_at(one, 0, kNow);
  assert_true(free >= after_ms(60'000) && free < after_ms(61'000));
  assert_false(fits(limit, one, 0, after_ms(60'000)));
  assert_false(fits(limit, one, 0, free - Duration{1}));
  assert_true(fits(limit, one, 0, free));
  assert_int_equal(limit.requests(free), 0);
}

// Room comes back charge by charge, as far as the next call needs.
void the_oldest_leave_first(void**) {
  Limit limit;
  const LimitConfig hundred{0, 100};
  limit.reserve(50, kNow);
  limit.reserve(50, after_ms(10'000));
  assert_true(limit.frees_at(hundred, 50, after_ms(10'000)) < after_ms(61'000));
  assert_true(limit.frees_at(hundred, 51, after_ms(10'000)) >= after_ms(70'000));
}

void a_call_beyond_the_limit_never_fits(void**) {
  Limit limit;
  assert_int_equal(limit.frees_at({0, 100}, 101, kNow).ns, Instant::never().ns);
  assert_true(limit.utilisation({0, 100}, 101, kNow) >= 1);
}

void usage_replaces_the_estimate(void**) {
  Limit limit;
  Limit::Reservation reservation = limit.reserve(100, kNow);
  assert_int_equal(reservation.tokens, 100);
  limit.settle(reservation, 30, after_ms(5'000));
  assert_int_equal(limit.tokens(after_ms(5'000)), 30);
  assert_int_equal(limit.requests(after_ms(5'000)), 1);
  reservation = limit.reserve(10, after_ms(6'000));
  limit.settle(reservation, 70, after_ms(7'000));
  assert_int_equal(limit.tokens(after_ms(7'000)), 100);
  limit.settle(limit.reserve(5, after_ms(8'000)), 0, after_ms(8'000));
  assert_int_equal(limit.tokens(after_ms(8'000)), 100);
}

// A correction belongs to the second of its charge: it leaves the window with it.
void a_correction_leaves_with_its_charge(void**) {
  Limit limit;
  Limit::Reservation reservation = limit.reserve(100, kNow);
  limit.settle(reservation, 400, after_ms(59'000));
  assert_int_equal(limit.tokens(after_ms(59'000)), 400);
  assert_int_equal(limit.tokens(after_ms(61'000)), 0);
}

void a_late_correction_has_no_effect(void**) {
  Limit limit;
  Limit::Reservation reservation = limit.reserve(100, kNow);
  limit.reserve(7, after_ms(70'000));
  limit.settle(reservation, 0, after_ms(70'000));
  limit.release(reservation, after_ms(70'000));
  assert_int_equal(limit.tokens(after_ms(70'000)), 7);
  assert_int_equal(limit.requests(after_ms(70'000)), 1);
}

void a_release_gives_all_back(void**) {
  Limit limit;
  Limit::Reservation reservation = limit.reserve(100, kNow);
  limit.reserve(3, kNow);
  limit.release(reservation, after_ms(200));
  assert_int_equal(limit.tokens(kNow), 3);
  assert_int_equal(limit.requests(kNow), 1);
}

void nonsense_does_not_overflow(void**) {
  Limit limit;
  constexpr uint64_t kAll = ~uint64_t{0};
  Limit::Reservation reservation = limit.reserve(kAll, kNow);
  assert_int_equal(reservation.tokens, Limit::kTokensMax);
  for (int i = 0; i < 1000; i++) limit.settle(limit.reserve(1, kNow), kAll, kNow);
  assert_int_equal(limit.tokens(kNow), Limit::kTokensMax * 1001);
  assert_true(fits(limit, {kAll, kAll}, kAll, kNow));
  assert_false(fits(limit, {0, Limit::kTokensMax}, 1, kNow));
  assert_int_equal(limit.reserve(Limit::kTokensMax + 1, kNow).tokens, Limit::kTokensMax);
}

// A clock that goes back: the charge counts as made where the window already is.
void time_may_go_back(void**) {
  Limit limit;
  limit.reserve(10, after_ms(5'000));
  Limit::Reservation reservation = limit.reserve(20, kNow);
  assert_true(reservation.at >= after_ms(4'000));
  assert_int_equal(limit.tokens(after_ms(5'000)), 30);
  limit.settle(reservation, 1, kNow);
  assert_int_equal(limit.tokens(after_ms(5'000)), 11);
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(without_limits_all_fits),
      cmocka_unit_test(requests_at_the_bound),
      cmocka_unit_test(tokens_at_the_bound),
      cmocka_unit_test(no_estimate_counts_as_one),
      cmocka_unit_test(the_tighter_limit_decides),
      cmocka_unit_test(a_charge_counts_for_a_minute),
      cmocka_unit_test(the_oldest_leave_first),
      cmocka_unit_test(a_call_beyond_the_limit_never_fits),
      cmocka_unit_test(usage_replaces_the_estimate),
      cmocka_unit_test(a_correction_leaves_with_its_charge),
      cmocka_unit_test(a_late_correction_has_no_effect),
      cmocka_unit_test(a_release_gives_all_back),
      cmocka_unit_test(nonsense_does_not_overflow),
      cmocka_unit_test(time_may_go_back),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
