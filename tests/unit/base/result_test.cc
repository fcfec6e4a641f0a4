#include "base/result.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "dies.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using lb::Error;
using lb::Result;
using lb::Status;

Result<int> half(int n) {
  if (n % 2) return Error{Status::CONFIG, "/n", "odd; write an even number"};
  return n / 2;
}

void it_holds_a_value(void**) {
  Result<int> result = half(8);
  assert_true(result.ok());
  assert_true(static_cast<bool>(result));
  assert_int_equal(result.value(), 4);
  result.value() = 5;
  assert_int_equal(static_cast<const Result<int>&>(result).value(), 5);
}

void or_an_error(void**) {
  Result<int> result = half(7);
  assert_false(result.ok());
  assert_true(result.error().status == Status::CONFIG);
  assert_string_equal(result.error().where.c_str(), "/n");
  assert_string_equal(result.error().message.c_str(), "odd; write an even number");
}

void a_value_may_be_one_that_only_moves(void**) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(3);
  std::unique_ptr<int> taken = std::move(result.value());
  assert_int_equal(*taken, 3);
  assert_true(result.ok());
}

void reading_the_other_half_is_a_defect(void**) {
  assert_true(dies([] { (void)half(7).value(); }));
  assert_true(dies([] { (void)half(8).error(); }));
  assert_true(dies([] { Result<int> none = Error{Status::OK, "", ""}; }));
}

void statuses_have_names_and_texts(void**) {
  assert_string_equal(lb::status_name(Status::OK), "OK");
  assert_string_equal(lb::status_name(Status::CONFIG), "CONFIG");
  assert_string_equal(lb::status_name(static_cast<Status>(12345)), "UNKNOWN");
  assert_string_equal(lb::status_text(static_cast<Status>(12345)), "unknown status");
#define LB_TEST_STATUS(name, number, text)                              \
  assert_int_equal(static_cast<int32_t>(Status::name), number);         \
  assert_string_equal(lb::status_name(Status::name), #name);            \
  assert_string_equal(lb::status_text(Status::name), text);
  LB_STATUS_MAP(LB_TEST_STATUS)
#undef LB_TEST_STATUS
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_holds_a_value),
      cmocka_unit_test(or_an_error),
      cmocka_unit_test(a_value_may_be_one_that_only_moves),
      cmocka_unit_test(reading_the_other_half_is_a_defect),
      cmocka_unit_test(statuses_have_names_and_texts),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
