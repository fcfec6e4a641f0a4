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

Next::Kind next(Outcome outcome, Spent spent, uint32_t retries = 2) {
  return after({retries}, outcome, spent, kDeadline, kNow).kind;
}

void the_callers_fault_is_final(void**) {
  assert_true(next(Outcome::caller_fault, {1}) == Next::Kind::stop);
  assert_true(next(Outcome::caller_fault, {1}, 100) == Next::Kind::stop);
}

void the_targets_fault_goes_elsewhere(void**) {
  assert_true(next(Outcome::target_fault, {1}) == Next::Kind::elsewhere);
  assert_true(next(Outcome::target_fault, {2}) == Next::Kind::elsewhere);
  assert_true(next(Outcome::target_fault, {3}) == Next::Kind::stop);
  assert_true(next(Outcome::target_fault, {4}) == Next::Kind::stop);
  assert_true(next(Outcome::target_fault, {1}, 0) == Next::Kind::stop);
  assert_true(next(Outcome::target_fault, {1}, 1) == Next::Kind::elsewhere);
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
    assert_true(next(outcome, {1, false, false}, 100) == Next::Kind::stop);
}

void the_deadline_ends_it(void**) {
  for (Outcome outcome : {Outcome::target_fault, Outcome::stale}) {
    assert_true(after({2}, outcome, {1}, kNow + Duration{1}, kNow).kind != Next::Kind::stop);
    assert_true(after({2}, outcome, {1}, kNow, kNow).kind == Next::Kind::stop);
    assert_true(after({2}, outcome, {1}, kNow - Duration{1}, kNow).kind == Next::Kind::stop);
  }
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
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
