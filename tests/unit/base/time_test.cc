#include "base/time.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Duration;
using lb::Instant;

void units_are_nanoseconds(void**) {
  assert_int_equal(Duration::from_us(3).ns, 3'000);
  assert_int_equal(Duration::from_ms(3).ns, 3'000'000);
  assert_int_equal(Duration::from_s(3).ns, 3'000'000'000);
  assert_int_equal(Duration::zero().ns, 0);
}

void milliseconds_are_rounded_down_or_up(void**) {
  assert_int_equal(Duration{999'999}.ms(), 0);
  assert_int_equal(Duration{1'000'000}.ms(), 1);
  assert_int_equal(Duration{0}.ms_ceil(), 0);
  assert_int_equal(Duration{1}.ms_ceil(), 1);
  assert_int_equal(Duration{1'000'000}.ms_ceil(), 1);
  assert_int_equal(Duration{1'000'001}.ms_ceil(), 2);
  assert_true(Duration::max().ms_ceil() > 0);
}

void arithmetic_and_order(void**) {
  Instant t{100};
  assert_int_equal((t + Duration{5}).ns, 105);
  assert_int_equal((t - Duration{5}).ns, 95);
  assert_int_equal((Instant{7} - t).ns, -93);
  assert_int_equal((Duration{4} * 3 + Duration{1} - Duration{2}).ns, 11);
  assert_true(Instant{} < t && t < Instant::never());
  assert_true(Duration{1} < Duration{2} && Duration{2} == Duration{2});
}

// UBSan is the judge of overflow.
void the_extremes_add_up(void**) {
  assert_true(Instant::never() + Duration::max() > Instant::never());
  Instant now{int64_t{200} * 365 * 86'400 * 1'000'000'000 / 100};  // Two years of uptime.
  assert_true(now + Duration::max() > now);
  assert_true(now + Duration::max() + Duration::max() > now);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(units_are_nanoseconds),
      cmocka_unit_test(milliseconds_are_rounded_down_or_up),
      cmocka_unit_test(arithmetic_and_order),
      cmocka_unit_test(the_extremes_add_up),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
