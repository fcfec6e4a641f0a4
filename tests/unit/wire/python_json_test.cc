// What Python 3.11 makes of the same texts by json.dumps(json.loads(text)).
#include "wire/python_json.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb {
namespace {

void assert_becomes(const char* text, const char* wanted) {
  std::string out;
  append_python_json(out, Raw::parse(text).value());
  assert_string_equal(out.c_str(), wanted);
}

void separators(void**) {
  assert_becomes(R"({"a":1,"b":[1,2,{"c":null}],"d":true,"e":false,"f":{},"g":[]})",
                 R"({"a": 1, "b": [1, 2, {"c": null}], "d": true, "e": false, "f": {}, "g": []})");
  assert_becomes(" { \"a\" : 1 ,\n\t\"b\" : [ ] }\r\n", R"({"a": 1, "b": []})");
  assert_becomes(R"({"a b":{"\u00e9":"x,y: z"}})", R"({"a b": {"\u00e9": "x,y: z"}})");
  assert_becomes("\"a\"", "\"a\"");
  std::string out = "kept";
  append_python_json(out, Raw());
  assert_string_equal(out.c_str(), "kept");
}

void numbers(void**) {
  assert_becomes("[12,-0,0,123456789012345678901234567890]", "[12, 0, 0, 123456789012345678901234567890]");
  assert_becomes("[1.0,1e5,1E+2,1.50,-0.0,-1.25,0.1]", "[1.0, 100000.0, 100.0, 1.5, -0.0, -1.25, 0.1]");
  assert_becomes("[1e15,1e16,12345678901234567.0,1.5e300]",
                 "[1000000000000000.0, 1e+16, 1.2345678901234568e+16, 1.5e+300]");
  assert_becomes("[0.0001,1e-5,1e-7,5e-324,1e-999]", "[0.0001, 1e-05, 1e-07, 5e-324, 0.0]");
  assert_becomes("[9007199254740993.0,1234567890123456.7]", "[9007199254740992.0, 1234567890123456.8]");
  assert_becomes("[1e999,-1e999]", "[Infinity, -Infinity]");
}

void strings(void**) {
  assert_becomes(R"("\u0041\u00e9\ud83d\ude00\ud800x\/\"\\\b\f\n\r\t\u0000\u001F\u007f\u0022\u005c\u000a")",
                 R"("A\u00e9\ud83d\ude00\ud800x/\"\\\b\f\n\r\t\u0000\u001f\u007f\"\\\n")");
  assert_becomes("\"\xc3\xa9\xf0\x9f\x98\x80\x7f\xe6\xbc\xa2\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\"",
                 R"("\u00e9\ud83d\ude00\u007f\u6f22\u07ff\u0800\uffff")");
  assert_becomes("\"a\xff\xc3\"", R"("a\ufffd\ufffd")");  // Python refuses this.
}

}  // namespace
}  // namespace lb

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::separators),
      cmocka_unit_test(lb::numbers),
      cmocka_unit_test(lb::strings),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
