#include "wire/decimal.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb {
namespace {

void one_text_for_one_number(void**) {
  for (const char* text : {"150", "1.5e2", "15E+1", "150.000", "0.00150e5", "1500e-1"})
    assert_string_equal(Decimal(text).text().c_str(), "15e1");
  for (const char* text : {"0", "-0", "0.0", "0e9", "-0.00e-7"})
    assert_string_equal(Decimal(text).text().c_str(), "0e0");
  assert_string_equal(Decimal("-12.5").text().c_str(), "-125e-1");
  assert_string_equal(Decimal("1e99999999999999999999").text().c_str(), "1e1000000000000000");
  assert_string_equal(Decimal("1e-99999999999999999999").text().c_str(), "1e-1000000000000000");
}

// Each below the next.
void order(void**) {
  const char* rising[] = {"-1e400", "-10", "-9.99", "-1", "-0.1", "-1e-400", "0", "1e-400", "0.1", "0.11", "1", "1.5",
                          "2", "9007199254740992", "9007199254740993", "1e400"};
  for (size_t i = 0; i < std::size(rising); i++)
    for (size_t j = 0; j < std::size(rising); j++) {
      int side = Decimal(rising[i]).compare(Decimal(rising[j]));
      assert_true(i < j ? side < 0 : i > j ? side > 0 : side == 0);
    }
}

void integers_and_counts(void**) {
  for (const char* text : {"1", "1.0", "-3", "1e3", "0", "1e400", "12.50e1"}) assert_true(Decimal(text).integer());
  for (const char* text : {"1.5", "-0.1", "1e-1", "12.5"}) assert_false(Decimal(text).integer());
  assert_true(Decimal("20e1").count() == 200u && Decimal("0").count() == 0u && Decimal("3.0").count() == 3u);
  assert_true(Decimal("18446744073709551615").count() == UINT64_MAX);
  for (const char* text : {"-1", "1.5", "18446744073709551616", "1e400"})
    assert_false(Decimal(text).count().has_value());
}

void multiples(void**) {
  auto multiple = [](const char* of, const char* by) { return Decimal(of).multiple_of(Decimal(by)); };
  assert_true(multiple("0.3", "0.1") && multiple("19.99", "0.01") && multiple("4.5", "1.5") && multiple("-10", "5"));
  assert_true(multiple("0", "7") && multiple("1e308", "0.5") && multiple("1e400", "1024"));
  assert_true(multiple("9007199254740993", "3") && multiple("999999999999999999", "333333333333333333"));
  assert_false(multiple("0.35", "0.1") || multiple("7", "2") || multiple("0.00751", "0.0001") || multiple("1", "3"));
  assert_false(multiple("1e400", "3") || multiple("9007199254740993", "2"));
}

}  // namespace
}  // namespace lb

int main() {
  using namespace lb;
  const CMUnitTest tests[] = {
      cmocka_unit_test(one_text_for_one_number),
      cmocka_unit_test(order),
      cmocka_unit_test(integers_and_counts),
      cmocka_unit_test(multiples),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
