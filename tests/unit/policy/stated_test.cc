#include "policy/stated.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb::policy {
namespace {

constexpr Instant kNow{1'000'300'000'000};
constexpr double kBoundless = 1e18;

Instant after_ms(int64_t ms) { return kNow + Duration::from_ms(ms); }

Charge tokens(uint64_t count) { return {count, 0, 0}; }

bool about(double a, double b) { return a > b - 1e-6 && a < b + 1e-6; }

Statement says(Metric metric, uint64_t limit, uint64_t remaining, int64_t reset_ms, bool continuous = false) {
  return {metric, limit, remaining, Duration::from_ms(reset_ms), continuous};
}

// The three answers are one.
bool fits(const StatedLimits& stated, const Charge& charge, Instant now) {
  bool fits = stated.fits(charge, now);
  assert_int_equal(fits, stated.share(charge, now) < 1);
  assert_int_equal(fits, stated.fits_at(charge, now) <= now);
  return fits;
}

void nothing_stated_is_no_limit(void**) {
  StatedLimits stated;
  for (int i = 0; i < 100; i++) stated.charge({UINT64_MAX, UINT64_MAX});
  assert_true(fits(stated, {UINT64_MAX, UINT64_MAX}, kNow));
  assert_true(about(stated.share(tokens(5), kNow), 0));
  assert_true(stated.tokens_left(tokens(5), kNow, kBoundless) >= kBoundless);
}

void what_remains_and_one_more(void**) {
  StatedLimits stated;
  stated.hear(says(Metric::tokens, 1'000, 400, 10'000), stated.sent(), kNow);
  assert_true(fits(stated, tokens(400), kNow));
  assert_false(fits(stated, tokens(401), kNow));
  assert_true(about(stated.share(tokens(400), kNow), 0.6));
  assert_true(stated.fits_at(tokens(401), kNow) == after_ms(10'000));
  assert_true(about(stated.tokens_left(tokens(100), kNow, kBoundless), 300));
}

void requests_that_remain(void**) {
  StatedLimits stated;
  stated.hear(says(Metric::requests, 10, 1, 5'000), stated.sent(), kNow);
  assert_true(fits(stated, tokens(1'000'000), kNow));
  stated.charge(tokens(1));
  assert_false(fits(stated, tokens(1), kNow));
  assert_true(stated.fits_at(tokens(1), after_ms(1'000)) == after_ms(5'000));
}

void what_was_sent_since_is_counted(void**) {
  StatedLimits stated;
  stated.charge(tokens(700));  // Before: the statement knows it.
  Sent with_this = stated.sent();
  stated.charge(tokens(150));  // After the call that brought it, before its answer.
  stated.hear(says(Metric::tokens, 1'000, 300, 10'000), with_this, kNow);
  assert_true(fits(stated, tokens(150), kNow));
  assert_false(fits(stated, tokens(151), kNow));
  stated.charge(tokens(100));
  assert_true(fits(stated, tokens(50), kNow));
  assert_false(fits(stated, tokens(51), kNow));
  Sent last = stated.sent();
  stated.amend(tokens(100), tokens(20), last);
  assert_true(fits(stated, tokens(130), kNow));
  assert_false(fits(stated, tokens(131), kNow));
  // What was sent before is in the statement: that it took less gives nothing back.
  stated.amend(tokens(700), tokens(10), {1, 700, 0});
  assert_false(fits(stated, tokens(131), kNow));
  stated.amend(tokens(20), tokens(500), last);
  assert_false(fits(stated, tokens(1), kNow));
}

void input_and_output_apart(void**) {
  StatedLimits stated;
  stated.hear(says(Metric::input_tokens, 1'000, 100, 10'000), stated.sent(), kNow);
  stated.hear(says(Metric::output_tokens, 1'000, 50, 20'000), stated.sent(), kNow);
  assert_true(fits(stated, {100, 50}, kNow));
  assert_false(fits(stated, {101, 50}, kNow));
  assert_false(fits(stated, {100, 51}, kNow));
  assert_true(stated.fits_at({101, 50}, kNow) == after_ms(10'000));
  assert_true(stated.fits_at({101, 51}, kNow) == after_ms(20'000));  // The last of them.
  stated.charge({60, 50});
  assert_true(fits(stated, {40, 0}, kNow));
  assert_false(fits(stated, {41, 0}, kNow));
  assert_false(fits(stated, {1, 1}, kNow));
}

// A call that takes none of it fits where nothing is left.
void nothing_fits_in_nothing(void**) {
  StatedLimits stated;
  stated.hear(says(Metric::output_tokens, 1'000, 0, 10'000), stated.sent(), kNow);
  assert_true(fits(stated, {500, 0}, kNow));
  assert_false(fits(stated, {500, 1}, kNow));
  stated.charge({1, 1});
  assert_false(fits(stated, {500, 0}, kNow));
  StatedLimits large;
  large.hear(says(Metric::tokens, UINT64_MAX, 5, 10'000), large.sent(), kNow);
  assert_true(fits(large, tokens(5), kNow));
  assert_false(fits(large, tokens(6), kNow));
}

void at_its_reset_it_says_nothing_any_more(void**) {
  StatedLimits stated;
  stated.hear(says(Metric::tokens, 1'000, 0, 10'000), stated.sent(), kNow);
  assert_false(fits(stated, tokens(1), after_ms(10'000) - Duration{1}));
  assert_true(fits(stated, tokens(1'000'000), after_ms(10'000)));
  assert_true(stated.tokens_left(tokens(1), after_ms(10'000), kBoundless) >= kBoundless);
}

void without_a_reset_for_a_minute(void**) {
  StatedLimits stated;
  stated.hear({Metric::tokens, std::nullopt, 0, std::nullopt, false}, stated.sent(), kNow);
  assert_false(fits(stated, tokens(1), after_ms(59'999)));
  assert_true(stated.fits_at(tokens(1), kNow) == after_ms(60'000));
  assert_true(fits(stated, tokens(1), after_ms(60'000)));
}

void a_reset_in_the_past_says_nothing(void**) {
  for (int64_t reset : {0, -5'000}) {
    for (bool continuous : {false, true}) {
      StatedLimits stated;
      stated.hear(says(Metric::tokens, 1'000, 0, reset, continuous), stated.sent(), kNow);
      assert_true(fits(stated, tokens(1'000'000), kNow));
    }
  }
}

void a_continuous_one_refills(void**) {
  StatedLimits stated;
  stated.hear(says(Metric::tokens, 1'000, 0, 10'000, true), stated.sent(), kNow);
  assert_false(fits(stated, tokens(1), kNow));
  assert_false(fits(stated, tokens(500), after_ms(4'999)));
  assert_true(fits(stated, tokens(500), after_ms(5'001)));
  Instant half = stated.fits_at(tokens(500), kNow);
  assert_true(half >= after_ms(5'000) && half <= after_ms(5'000) + Duration{2});
  stated.charge(tokens(100));
  half = stated.fits_at(tokens(500), kNow);
  assert_true(half >= after_ms(6'000) && half <= after_ms(6'000) + Duration{2});
  assert_true(stated.fits_at(tokens(2'000), kNow) == after_ms(10'000));
  assert_true(about(stated.tokens_left(tokens(100), after_ms(5'000), kBoundless), 300));
}

// It cannot refill where the size or the end is not known: then all comes back at the end.
void continuous_needs_its_limit(void**) {
  StatedLimits stated;
  stated.hear({Metric::tokens, std::nullopt, 10, Duration::from_s(10), true}, stated.sent(), kNow);
  assert_false(fits(stated, tokens(11), after_ms(9'999)));
  assert_true(stated.fits_at(tokens(11), kNow) == after_ms(10'000));
  StatedLimits more;  // More left than there can be.
  more.hear(says(Metric::tokens, 100, 500, 10'000, true), more.sent(), kNow);
  assert_true(fits(more, tokens(500), kNow));
  assert_false(fits(more, tokens(501), after_ms(9'999)));
  assert_true(more.share(tokens(1), kNow) >= 0);
}

void a_newer_word_replaces_an_older(void**) {
  StatedLimits stated;
  stated.charge(tokens(10));
  Sent first = stated.sent();
  stated.charge(tokens(10));
  Sent second = stated.sent();
  stated.hear(says(Metric::tokens, 1'000, 500, 10'000), second, kNow);
  stated.hear(says(Metric::tokens, 1'000, 900, 10'000), first, kNow);  // It was overtaken.
  assert_false(fits(stated, tokens(501), kNow));
  stated.hear(says(Metric::tokens, 1'000, 700, 10'000), second, after_ms(1));
  assert_true(fits(stated, tokens(700), after_ms(1)));
  assert_false(fits(stated, tokens(701), after_ms(1)));
  // Behind its reset it says nothing, so an older call's word is the newest there is.
  stated.hear(says(Metric::tokens, 1'000, 50, 10'000), first, after_ms(10'001));
  assert_false(fits(stated, tokens(50), after_ms(10'001)));
  assert_true(fits(stated, tokens(40), after_ms(10'001)));
}

void money_is_not_stated(void**) {
  StatedLimits stated;
  stated.hear(says(Metric::money, 10, 0, 10'000), stated.sent(), kNow);
  assert_true(fits(stated, {5, 5, 5'000}, kNow));
}

void nonsense_does_not_overflow(void**) {
  StatedLimits stated;
  stated.hear({Metric::tokens, UINT64_MAX, UINT64_MAX, Duration::max(), true}, stated.sent(), kNow);
  for (int i = 0; i < 1'000; i++) stated.charge({UINT64_MAX, UINT64_MAX});
  assert_true(fits(stated, {UINT64_MAX, UINT64_MAX}, kNow));
  StatedLimits none;
  none.hear({Metric::tokens, UINT64_MAX, 0, Duration::max(), true}, none.sent(), kNow);
  assert_true(none.fits_at(tokens(1), kNow) > kNow);
}

}  // namespace
}  // namespace lb::policy

int main() {
  using namespace lb::policy;
  const CMUnitTest tests[] = {
      cmocka_unit_test(nothing_stated_is_no_limit),
      cmocka_unit_test(what_remains_and_one_more),
      cmocka_unit_test(requests_that_remain),
      cmocka_unit_test(what_was_sent_since_is_counted),
      cmocka_unit_test(input_and_output_apart),
      cmocka_unit_test(nothing_fits_in_nothing),
      cmocka_unit_test(at_its_reset_it_says_nothing_any_more),
      cmocka_unit_test(without_a_reset_for_a_minute),
      cmocka_unit_test(a_reset_in_the_past_says_nothing),
      cmocka_unit_test(a_continuous_one_refills),
      cmocka_unit_test(continuous_needs_its_limit),
      cmocka_unit_test(a_newer_word_replaces_an_older),
      cmocka_unit_test(money_is_not_stated),
      cmocka_unit_test(nonsense_does_not_overflow),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
