#include "config/scalar.h"

#include "fixture.h"

namespace lb {
namespace {

void plain(const char* text, const char* json) { assert_text(plain_scalar_json(text), json); }

void words(void**) {
  for (const char* text : {"", "~", "null", "Null", "NULL"}) plain(text, "null");
  for (const char* text : {"true", "True", "TRUE"}) plain(text, "true");
  for (const char* text : {"false", "False", "FALSE"}) plain(text, "false");
  // YAML 1.1's, and near misses.
  for (const char* text : {"yes", "no", "on", "off", "y", "n", "tRUE", "nULL"})
    plain(text, ('"' + std::string(text) + '"').c_str());
}

void numbers(void**) {
  plain("0", "0");
  plain("12", "12");
  plain("-12", "-12");
  plain("+12", "12");
  plain("007", "7");
  plain("-00", "-0");
  plain("0x1F", "31");
  plain("0o17", "15");
  plain("1.5", "1.5");
  plain("1.", "1");
  plain(".5", "0.5");
  plain("-.5", "-0.5");
  plain("1e3", "1e3");
  plain("1E+3", "1e3");
  plain("1.50e-3", "1.50e-3");
  plain("18446744073709551615", "18446744073709551615");
}

void what_is_no_number_is_text(void**) {
  for (const char* text : {"-", "+", ".", "e3", "1e", "1e+", "0x", "0xg", "0o8", "-0x1", "1_000", "1,5", "1 2", "12:30",
                           ".inf", "-.inf", ".nan", "NaN", "127.0.0.1", "0x10000000000000000", "10s"})
    plain(text, ('"' + std::string(text) + '"').c_str());
}

void digits_without_end_are_text(void**) {
  assert_text(plain_scalar_json(std::string(48, '1')), std::string(48, '1'));
  assert_text(plain_scalar_json(std::string(49, '1')), '"' + std::string(49, '1') + '"');
}

void strings_are_escaped(void**) {
  assert_text(string_json("a\"b\\c\nd\x01"), R"("a\"b\\c\nd\u0001")");
  assert_text(string_json("gr\xc3\xbc"), "\"gr\xc3\xbc\"");
}

void utf8(void**) {
  for (std::string_view text : {"", "a", "gr\xc3\xbc", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    assert_true(is_utf8(text));
  for (std::string_view text : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x9f\xbf", "\xe2\x82",
                                "\xe2\x28\xa1", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80",
                                "\xf5\x80\x80\x80", "\xff", "\xe2\x82\xc3"})
    assert_false(is_utf8(text));
  assert_true(is_utf8(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace lb

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::words),
      cmocka_unit_test(lb::numbers),
      cmocka_unit_test(lb::what_is_no_number_is_text),
      cmocka_unit_test(lb::digits_without_end_are_text),
      cmocka_unit_test(lb::strings_are_escaped),
      cmocka_unit_test(lb::utf8),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
