#include "wire/retry_after.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
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
using lb::parse_span;
using lb::told_wait;

Head head_of(std::initializer_list<Head::Field> fields) {
  Head head;
  head.status = 429;
  head.fields = fields;
  return head;
}

// What those fields say, in nanoseconds; -1: nothing.
int64_t told(std::initializer_list<Head::Field> fields, std::string_view body = "", int64_t now = 0) {
  std::optional<Duration> wait = told_wait(head_of(fields), body, now);
  return wait ? wait->ns : -1;
}

constexpr int64_t kMs = 1'000'000, kSecond = 1'000 * kMs;
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

void retry_after_in_each_form(void**) {
  assert_int_equal(told({{"Retry-After", "2"}}), 2 * kSecond);
  assert_int_equal(told({{"retry-after", " 1.5 "}}), 1500 * kMs);
  assert_int_equal(told({{"retry-after", "6m0s"}}), 360 * kSecond);
  assert_int_equal(told({{"retry-after", "0"}}), 0);
  assert_int_equal(told({{"retry-after-ms", "250"}}), 250 * kMs);
  assert_int_equal(told({{"retry-after", kDate}, {"date", "Sun, 06 Nov 1994 08:49:07 GMT"}}), 30 * kSecond);
  assert_int_equal(told({{"retry-after", kDate}}, "", kDateSeconds - 5), 5 * kSecond);
  // The clock of the one who sent it, not ours.
  assert_int_equal(told({{"retry-after", kDate}, {"date", "Sun Nov  6 08:49:27 1994"}}, "", 1'700'000'000),
      10 * kSecond);
  assert_int_equal(told({{"retry-after", kDate}}, "", kDateSeconds + 5), 0);  // Past.
  assert_int_equal(told({{"retry-after", kDate}}), -1);                       // No clock at all.
  for (const char* text : {"", "soon", "nan", "inf", "-inf", "1e999", "1,5"})
    assert_int_equal(told({{"retry-after", text}}), -1);
}

void waits_are_clamped(void**) {
  assert_int_equal(told({{"retry-after", "86400"}}), kRetryAfterMax.ns);
  assert_int_equal(told({{"retry-after", "86401"}}), kRetryAfterMax.ns);
  assert_int_equal(told({{"retry-after", "86399"}}), 86'399 * kSecond);
  assert_int_equal(told({{"retry-after", "99999999999999999999999"}}), kRetryAfterMax.ns);
  assert_int_equal(told({{"retry-after", "1e300"}}), kRetryAfterMax.ns);
  assert_int_equal(told({{"retry-after", "-1"}}), 0);
  assert_int_equal(told({{"retry-after-ms", "-5"}}), 0);
  assert_int_equal(told({{"retry-after-ms", "1e12"}}), kRetryAfterMax.ns);
  assert_int_equal(told({{"retry-after", "99d"}}), kRetryAfterMax.ns);
}

void the_order_in_which_they_count(void**) {
  Head::Field ms{"retry-after-ms", "100"}, seconds{"retry-after", "2"}, none{"x-ratelimit-remaining-requests", "0"},
      reset{"x-ratelimit-reset-requests", "9s"}, bad{"retry-after-ms", "soon"};
  assert_int_equal(told({reset, none, seconds, ms}, "37s"), 100 * kMs);
  assert_int_equal(told({reset, none, seconds, bad}, "37s"), 2 * kSecond);
  assert_int_equal(told({reset, none}, "37s"), 37 * kSecond);
  assert_int_equal(told({reset, none}, "0.5s"), 500 * kMs);
  assert_int_equal(told({reset, none}), 9 * kSecond);
  assert_int_equal(told({reset}), -1);
  assert_int_equal(told({}), -1);
}

void the_reset_of_what_is_exhausted(void**) {
  auto reset = [](const char* remaining, const char* when, int64_t now = 0) {
    return told({{"X-RateLimit-Remaining-Tokens", remaining}, {"x-ratelimit-reset-tokens", when}}, "", now);
  };
  assert_int_equal(reset("0", "6m0s"), 360 * kSecond);
  assert_int_equal(reset(" 0 ", "59.56s"), 59'560 * kMs);
  assert_int_equal(reset("0", "17"), 17 * kSecond);
  for (const char* remaining : {"1", "-1", "", "none", "0x"}) assert_int_equal(reset(remaining, "17"), -1);
  for (const char* unknown : {"0", "-1", "", "later"}) assert_int_equal(reset("0", unknown), -1);
  // Dates as numbers: seconds of ten digits, milliseconds of thirteen.
  assert_int_equal(reset("0", "1700000030", 1'700'000'000), 30 * kSecond);
  assert_int_equal(reset("0", "1700000030500", 1'700'000'000), 30'500 * kMs);
  assert_int_equal(reset("0", "1700000030", 1'700'000'100), 0);
  assert_int_equal(reset("0", "1700000030"), -1);
  assert_int_equal(reset("0", "2591999"), kRetryAfterMax.ns);
  // The longest of several; without a suffix; what has no reset of its own.
  assert_int_equal(told({{"x-ratelimit-remaining-requests", "0"},
                         {"x-ratelimit-remaining-tokens", "0"},
                         {"x-ratelimit-reset-requests", "1s"},
                         {"x-ratelimit-reset-tokens", "3s"}}),
                   3 * kSecond);
  assert_int_equal(told({{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "4"}}), 4 * kSecond);
  assert_int_equal(told({{"x-ratelimit-remaining-tokens", "0"}, {"x-ratelimit-reset-requests", "3s"}}), -1);
}

void random_values_do_no_harm(void**) {
  constexpr std::string_view kBytes = "0123456789.-+eEsmhdnu :,GMTSunNov";
  const char* const names[] = {"retry-after", "retry-after-ms", "date", "x-ratelimit-remaining-a",
      "x-ratelimit-reset-a"};
  for (uint64_t seed = 1; seed <= 20'000; seed++) {
    lb::Rng rng(seed);
    Head head;
    for (const char* name : names) {
      std::string value(rng.below(32), ' ');
      for (char& c : value) c = kBytes[rng.below(kBytes.size())];
      if (rng.below(4) == 0) value.assign(1, '0');
      head.add(name, value);
    }
    int64_t now = rng.below(2) ? 1'700'000'000 : 0;
    std::optional<Duration> wait = told_wait(head, head.get("date"), now);
    if (wait) assert_true(wait->ns >= 0 && wait->ns <= kRetryAfterMax.ns);
    std::string date = kDate;
    date[rng.below(date.size())] = static_cast<char>(rng.next());
    parse_http_date(date);
    parse_http_date(head.get("date"));
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(dates_of_http_in_all_three_forms),
      cmocka_unit_test(spans),
      cmocka_unit_test(retry_after_in_each_form),
      cmocka_unit_test(waits_are_clamped),
      cmocka_unit_test(the_order_in_which_they_count),
      cmocka_unit_test(the_reset_of_what_is_exhausted),
      cmocka_unit_test(random_values_do_no_harm),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
