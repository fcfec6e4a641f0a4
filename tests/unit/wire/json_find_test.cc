#include "wire/json_find.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb {
namespace {

// All that is found, with a bar behind each.
std::string found(std::string_view text) {
  std::string out;
  JsonFinder finder(text);
  for (Raw value = finder.next(); value.present(); value = finder.next()) out.append(value.text()).append("|");
  return out;
}

void expect(std::string_view text, const char* want) { assert_string_equal(found(text).c_str(), want); }

void what_stands_in_prose(void**) {
  expect(R"(Sure! {"a":1} Anything else?)", R"({"a":1}|)");
  expect("Here you are:\n```json\n{\n \"a\": [1, 2]\n}\n```\nDone.", "{\n \"a\": [1, 2]\n}|");
  expect("```\n[1]\n```", "[1]|");
  expect(R"({"a":1} and {"b":2})", R"({"a":1}|{"b":2}|)");
  for (std::string_view none : {"", "no", "\"a string\"", "42", "true", "a [see there] {x} b", "{", "[", "[[[[", "]}"})
    expect(none, "");
}

// The outermost, and not what is within it: pllm gives the first object of a list, and takes three levels at most.
void the_outermost(void**) {
  expect(R"(List: [{"a":1},{"a":2}] end)", R"([{"a":1},{"a":2}]|)");
  expect(R"(x {"a":{"b":{"c":{"d":{"e":[[[[[0]]]]]}}}}} y)", R"({"a":{"b":{"c":{"d":{"e":[[[[[0]]]]]}}}}}|)");
}

void strings_are_text(void**) {
  expect(R"(- {"code":"if (x) { y[0] = \"}\"; }","n":"]"} -)", R"({"code":"if (x) { y[0] = \"}\"; }","n":"]"}|)");
  expect(R"(It said "[x" and {"a":"{"}.)", R"({"a":"{"}|)");
}

void brackets_of_prose(void**) {
  expect(R"([see {"a":1}])", R"({"a":1}|)");
  expect(R"({{"a":1}})", R"({"a":1}|)");
  expect(R"(for x in [0, 1) take {"a":1})", R"({"a":1}|)");
  expect(R"([1] says: {"a":1})", R"([1]|{"a":1}|)");
}

// Nothing of its inside is what was meant.
void broken_json(void**) {
  expect(R"({"list":[{"a":1},{"b":2},],"c":3})", "");
  expect(R"({'a':[1]})", "[1]|");  // Not JSON from its first word on.
  expect("{\"code\":\"raw\nline [1]\",\"list\":[2]} but [3]", "[3]|");
  expect(R"({"items":[{"a":1},{"a":2)", "");
  expect(R"(cut: {"code":"int f() { return [1]; )", "");
  expect(R"({"a":1 "b":[2]} then {"c":3})", R"({"c":3}|)");
}

void as_deep_as_json_may_be(void**) {
  auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  std::string most = nested(JsonScan::kDepthMax);
  assert_true(found("x " + most + " y") == most + "|");
  expect("x " + nested(JsonScan::kDepthMax + 1) + " {}", "{}|");
}

// Intervals that never close would each be followed to the end: after eight nothing is looked for any more, and the
// time that the largest of texts takes is that of a few passes.
void work_is_bounded(void**) {
  std::string text;
  for (int i = 0; i < 3; i++) text += "[0, 1) ";
  assert_true(found(text + "{}") == "{}|");
  for (int i = 0; i < 200'000; i++) text += "[0, 1) ";
  assert_true(found(text + "{}").empty());
  std::string open;
  for (int i = 0; i < 500'000; i++) open += "[0,";
  assert_true(found(open).empty());
}

// Nothing outside the text is read (under ASan), wherever it ends.
void every_prefix(void**) {
  std::string text = R"(a [b {"c":"\"]","d":[1,{}]} e [2, f] {"g":"h"})";
  for (size_t n = 0; n <= text.size(); n++) {
    std::string all = found(std::string(text, 0, n));
    assert_true(all.size() <= n + 3);
  }
}

}  // namespace
}  // namespace lb

int main() {
  using namespace lb;
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_stands_in_prose), cmocka_unit_test(the_outermost),
      cmocka_unit_test(strings_are_text),     cmocka_unit_test(brackets_of_prose),
      cmocka_unit_test(broken_json),          cmocka_unit_test(as_deep_as_json_may_be),
      cmocka_unit_test(work_is_bounded),      cmocka_unit_test(every_prefix),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
