#include "wire/told_time.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/rng.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Duration;
using lb::Head;
using lb::kRetryAfterMax;
using lb::parse_http_date;
using lb::parse_rfc3339;
using lb::parse_span;

const char* const kDate = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr int64_t kDateSeconds = 784'111'777;

void dates_of_http_in_all_three_forms(void**) {
  for (const char* text : {kDate, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"})
    assert_int_equal(parse_http_date(text).value(), kDateSeconds);
  assert_int_equal(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT").value(), 0);
  assert_int_equal(parse_http_date("Sat, 21 Nov 2026 07:00:00 GMT").value(), 1'795'244'400);
  assert_int_equal(parse_http_date("Thu, 29 Feb 2024 23:59:60 GMT").value(), 1'709'251'200);
  assert_int_equal(parse_http_date("Saturday, 21-Nov-26 07:00:00 GMT").value(), 1'795'244'400);
  assert_int_equal(parse_http_date("Sat Nov 21 07:00:00 2026").value(), 1'795'244'400);
  for (const char* text : {"", "tomorrow", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET",
                           "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 ovD 1994 08:49:37 GMT",
                           "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT",
                           "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
                           "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 1994 08-49:37 GMT",
                           "Sun, -6 Nov 1994 08:49:37 GMT", "Sun, 06-Nov-94 08:49 GMT", "2026-11-21T07:00:00Z"})
    assert_false(parse_http_date(text).has_value());
}

void spans(void**) {
  assert_true(parse_span("1s") == 1.0);
  assert_true(parse_span("6m0s") == 360.0);
  assert_true(parse_span("12ms") == 0.012);
  assert_true(parse_span("7.5s") == 7.5);
  assert_true(parse_span("2h3m4s") == 7384.0);
  assert_true(parse_span("1d2h") == 93'600.0);
  assert_true(parse_span("0s") == 0.0);
  assert_true(parse_span("250us") == parse_span("250µs"));
  for (const char* text : {"", "5", "s", "5x", "1s2", "1..5s", "-1s", "1 s", "s1", "1m-2s", ".s", "nans", "1S"})
    assert_false(parse_span(text).has_value());
}

void dates_of_rfc3339(void**) {
  assert_true(parse_rfc3339("1994-11-06T08:49:37Z") == static_cast<double>(kDateSeconds));
  assert_true(parse_rfc3339("1994-11-06t08:49:37z") == static_cast<double>(kDateSeconds));
  assert_true(parse_rfc3339("1994-11-06 08:49:37.5Z") == static_cast<double>(kDateSeconds) + 0.5);
  assert_true(parse_rfc3339("1994-11-06T09:49:37+01:00") == static_cast<double>(kDateSeconds));
  assert_true(parse_rfc3339("1994-11-06T03:19:37.250-05:30") == static_cast<double>(kDateSeconds) + 0.25);
  assert_true(parse_rfc3339("1970-01-01T00:00:00Z") == 0.0);
  assert_true(parse_rfc3339("0000-01-01T00:00:00Z") < 0.0);
  for (const char* text : {"", "1994-11-06", "1994-11-06T08:49:37", "1994-11-06T08:49:37X", "1994-11-06T08:49:37Zz",
                           "1994/11/06T08:49:37Z", "1994-11-06_08:49:37Z", "1994-00-06T08:49:37Z",
                           "1994-13-06T08:49:37Z", "1994-11-32T08:49:37Z", "1994-11-06T24:49:37Z",
                           "1994-11-06T08:49:37.Z", "1994-11-06T08:49:37.5", "1994-11-06T08:49:37+0100",
                           "1994-11-06T08:49:37+24:00", "1994-11-06T08:49:37+01:60", "-994-11-06T08:49:37Z", kDate})
    assert_false(parse_rfc3339(text).has_value());
}

void dates_are_taken_against_the_servers_clock(void**) {
  Head head;
  assert_false(lb::parse_wait(kDate, head, 0).has_value());
  assert_false(lb::parse_reset("1994-11-06T08:49:37Z", head, 0).has_value());
  assert_true(lb::parse_wait(kDate, head, kDateSeconds - 5) == Duration::from_s(5));
  assert_true(lb::parse_reset("1994-11-06T08:49:37.5Z", head, kDateSeconds) == Duration::from_ms(500));
  head.add("Date", kDate);
  assert_true(lb::parse_reset("1994-11-06T08:49:38Z", head, 1) == Duration::from_s(1));
  assert_true(lb::parse_reset("784111780", head, 0) == Duration::from_s(3));
  assert_true(lb::parse_reset("1784111780", head, 0) == kRetryAfterMax);
  assert_true(lb::parse_reset("1994-11-06T08:49:36Z", head, 0) == Duration::zero());  // Past.
  assert_true(lb::parse_reset("9999-12-31T23:59:59Z", head, INT64_MIN) == kRetryAfterMax);
}

void random_values_do_no_harm(void**) {
  for (uint64_t seed = 1; seed <= 20'000; seed++) {
    lb::Rng rng(seed);
    Head head;
    head.add("date", kDate);
    for (std::string date : {kDate, "1994-11-06T08:49:37.25+01:00", "Sun Nov  6 08:49:37 1994", "6m0.5s"}) {
      for (uint64_t n = rng.below(3); n > 0; n--) date[rng.below(date.size())] = static_cast<char>(rng.next());
      date.resize(rng.below(4) ? date.size() : rng.below(date.size()));
      std::optional<Duration> wait = lb::parse_reset(date, head, 0);
      if (wait) assert_true(wait->ns >= 0 && *wait <= kRetryAfterMax);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(dates_of_http_in_all_three_forms),
      cmocka_unit_test(spans),
      cmocka_unit_test(dates_of_rfc3339),
      cmocka_unit_test(dates_are_taken_against_the_servers_clock),
      cmocka_unit_test(random_values_do_no_harm),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
