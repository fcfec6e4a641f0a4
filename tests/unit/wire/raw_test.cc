#include "wire/raw.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "wire/escape.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb {
namespace {

void what_is_json(void**) {
  for (const char* text : {"0", "-0", "-1.5e+10", "1E9", "\"\"", "\"a\\u00e9\\n\\\"\"", "true", "false", "null", "[]",
                           "{}", " [ ] ", "[1,[2,{}],\"x\"]", "{\"a\":{\"b\":[{}]},\"\":0}",
                           "\t{ \"a\" : 1 , \"b\" : [ ] }\r\n"}) {
    if (!Raw::parse(text).ok()) fail_msg("%s is JSON", text);
  }
  for (const char* text : {"", " ", "01", "-", "1.", ".5", "1e", "+1", "tru", "nul", "\"", "\"\\\"", "\"\\x\"",
                           "\"\\u12g4\"", "\"\\u123\"", "\"\n\"", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{",
                           "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,",
                           "{\"a\":1,}", "{1:2}", "{\"a\" 1}", "{]", "[}", "1 2", "[] []",
                           "NaN", "'a'", "{\"a\":1]", "\xef\xbb\xbf{}"}) {
    if (Raw::parse(text).ok()) fail_msg("%s is no JSON", text);
  }
  assert_string_equal(Raw::parse("[1,x]").error().message.c_str(), "no valid JSON at byte 3");
}

// Whatever is cut off or changed, nothing outside the text is read (under ASan), and no part of it is JSON.
void every_prefix_is_no_json(void**) {
  std::string text = R"({"a":[1,-2.5e3,"x\"\\\u00e9",true,{"b":null}],"c":"d"})";
  for (size_t n = 0; n < text.size(); n++) assert_false(Raw::parse(std::string(text, 0, n)).ok());
}

void depth_has_a_limit(void**) {
  auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  assert_true(Raw::parse(nested(JsonScan::kDepthMax)).ok());
  assert_false(Raw::parse(nested(JsonScan::kDepthMax + 1)).ok());
}

void values_are_found(void**) {
  std::string text =
      R"( {"a" : 12345678901234567890 , "n\u0061me":"x\ny", "list":[ 1.50, {"k":[]}, "]}" , null ],"a":2} )";
  Raw raw = Raw::parse(text).value();
  assert_true(raw.is_object() && raw.size() == 4);
  assert_true(raw["a"].text() == "12345678901234567890");  // Also beyond what a double holds; the first of two.
  assert_true(raw["a"].integer() == 12345678901234567890u);
  assert_true(raw["name"].inner() == "x\\ny" && raw["name"].decoded() == "x\ny");
  Raw list = raw["list"];
  assert_true(list.is_array() && list.size() == 4);
  std::string seen;
  for (RawWalk at = list.walk(); at.next();) seen.append(at.value().text()).append("|");
  assert_string_equal(seen.c_str(), R"(1.50|{"k":[]}|"]}"|null|)");
  assert_false(raw["absent"].present() || raw["absent"]["deeper"].present() || raw["a"]["b"].present());
  assert_false(raw["absent"].given() || list["x"].present());
  assert_int_equal(raw["absent"].size(), 0);
  assert_true(list.walk().next());
  assert_false(raw["a"].walk().next());
}

void numbers(void**) {
  auto number = [](const char* text) { return Raw::parse(text).value(); };
  assert_true(number("1.5").number() == 1.5 && !number("1.5").integer());
  assert_true(!number("-1").integer() && number("-1").number() == -1);
  assert_true(!number("\"1\"").integer() && number("\"1\"").number() == 0);
  assert_true(!number("18446744073709551616").integer());
}

void inner_and_bytes(void**) {
  assert_true(decode_inner(R"(\u00e9\ud83d\ude00\ud800\/\t)") == "\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbd/\t");
  assert_true(encode_inner("a\"b\\c\n\x01\xff") == "a\\\"b\\\\c\\n\\u0001\xef\xbf\xbd");
}

}  // namespace
}  // namespace lb

int main() {
  using namespace lb;
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_is_json),   cmocka_unit_test(every_prefix_is_no_json), cmocka_unit_test(depth_has_a_limit),
      cmocka_unit_test(values_are_found), cmocka_unit_test(numbers),               cmocka_unit_test(inner_and_bytes),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
