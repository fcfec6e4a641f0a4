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
  // Of every dialect, and of what lb does not count.
  assert_int_equal(told({{"x-ratelimit-remaining-images", "0"}, {"x-ratelimit-reset-images", "5"}}), 5 * kSecond);
  assert_int_equal(told({{"anthropic-ratelimit-tokens-remaining", "0"},
                         {"anthropic-ratelimit-tokens-reset", "2023-11-14T22:13:26Z"}}, "", 1'700'000'000),
                   6 * kSecond);
  assert_int_equal(told({{"RateLimit", "\"a\";r=0;t=7, \"b\";r=1;t=9"}}), 7 * kSecond);
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
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(retry_after_in_each_form),
      cmocka_unit_test(waits_are_clamped),
      cmocka_unit_test(the_order_in_which_they_count),
      cmocka_unit_test(the_reset_of_what_is_exhausted),
      cmocka_unit_test(random_values_do_no_harm),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
