#include "base/text.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using namespace lb;

void case_is_that_of_ascii_alone(void**) {
  for (int c = -128; c < 128; c++) {
    char lower = ascii_lower(static_cast<char>(c));
    assert_int_equal(lower, c >= 'A' && c <= 'Z' ? c + 32 : c);
  }
  assert_true(iequals("Content-Type", "cONTENT-tYPE"));
  assert_true(iequals("", ""));
  assert_false(iequals("a", "ab"));
  assert_false(iequals("@", "`"));  // Neighbours of the letters, 32 apart.
  assert_false(iequals("[", "{"));
  assert_false(iequals("\xc3\x84", "\xc3\xa4"));
  assert_true(istarts_with("X-RateLimit-Reset", "x-ratelimit-"));
  assert_true(istarts_with("x", ""));
  assert_false(istarts_with("x-rate", "x-ratelimit-"));
}

void trim_takes_spaces_and_tabs(void**) {
  assert_true(trim(" \t a b\t ") == "a b");
  assert_true(trim("").empty());
  assert_true(trim(" \t ").empty());
  assert_true(trim("\r\na\n") == "\r\na\n");
}

void split_off_takes_the_mark_along(void**) {
  std::string_view rest = "a;b;;c";
  assert_true(split_off(rest, ';') == "a");
  assert_true(split_off(rest, ';') == "b");
  assert_true(split_off(rest, ';').empty());
  assert_true(rest == "c");
  assert_true(split_off(rest, ';') == "c");
  assert_true(rest.empty());
  assert_true(split_off(rest, ';').empty());
}

void whole_numbers_are_digits_alone(void**) {
  assert_int_equal(parse_u64("0").value(), 0);
  assert_int_equal(parse_u64("007").value(), 7);
  assert_true(parse_u64("18446744073709551615") == UINT64_MAX);
  for (std::string_view bad : {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "18446744073709551616", "1e3", "٣"})
    assert_false(parse_u64(bad).has_value());
}

void decimals_have_a_point_whatever_the_locale(void**) {
  assert_true(parse_double("1.5") == 1.5);
  assert_true(parse_double("-2") == -2.0);
  assert_true(parse_double("1e3") == 1000.0);
  assert_true(parse_double(".5") == 0.5);
  for (std::string_view bad : {"", "1,5", "1.5x", " 1", "1 ", "+1", "e", "1e999"})
    assert_false(parse_double(bad).has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(case_is_that_of_ascii_alone),
      cmocka_unit_test(trim_takes_spaces_and_tabs),
      cmocka_unit_test(split_off_takes_the_mark_along),
      cmocka_unit_test(whole_numbers_are_digits_alone),
      cmocka_unit_test(decimals_have_a_point_whatever_the_locale),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
