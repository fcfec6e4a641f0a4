// Acceptance scenario 13 of reference/systems.md, as far as one answer goes; the asking is engine/validation_test.cc's.
#include "wire/validate.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace lb {
namespace {

using Json = Validator::Json;

Validator made(Validator::Rules rules) {
  Result<Validator> out = Validator::compile(std::move(rules));
  if (!out.ok()) fail_msg("%s: %s", out.error().where.c_str(), out.error().message.c_str());
  return std::move(out.value());
}
// What is passed on of `text`; "-" and the error if nothing is.
std::string kept(const Validator& by, std::string_view text) {
  Validator::Verdict verdict = by.check(text);
  assert_true(verdict.valid == verdict.error.empty());
  return verdict.valid ? std::string(verdict.kept) : "-" + verdict.error;
}
void expect(const Validator& by, std::string_view text, const std::string& want) {
  assert_string_equal(kept(by, text).c_str(), want.c_str());
}

void json_in_prose(void**) {
  Validator find = made({.json = Json::find});
  expect(find, R"({"a": 1})", R"({"a": 1})");
  expect(find, " \n[1]\n", " \n[1]\n");  // All of it is JSON: it stays as it is.
  expect(find, "Sure:\n```json\n{\"a\":1}\n```", R"({"a":1})");
  expect(find, R"(The list: [{"a":1},{"a":2}].)", R"([{"a":1},{"a":2}])");
  expect(find, R"(Deep: {"a":{"b":{"c":{"d":{"e":1}}}}}.)", R"({"a":{"b":{"c":{"d":{"e":1}}}}})");
  expect(find, R"("bare string")", R"("bare string")");  // With its quotes: without them it is no JSON.
  expect(find, "17", "17");
  for (std::string_view none : {"", "no", R"(he said "yes")", "{\"a\":", "{'a':1}"})
    expect(find, none, "-there is no whole JSON object or array in it");
}

void json_and_nothing_else(void**) {
  Validator strict = made({.json = Json::strict});
  expect(strict, " [1] ", " [1] ");
  expect(strict, "Sure: [1]", "-it is not JSON and nothing else: no valid JSON at byte 0");
}

void the_first_that_fits_the_schema(void**) {
  Validator by = made({.schema = R"({"type":"object","required":["a"]})"});
  expect(by, R"(As [1] and {"b":2} say: {"a":1})", R"({"a":1})");
  expect(by, R"({"b":2})", "-its JSON does not fit the schema: the value as a whole: lacks the member \"a\"");
  // Of several that do not, the first one's fault.
  expect(by, R"(x [1] y {"b":2})",
         "-its JSON does not fit the schema: the value as a whole: wanted an object, not an array");
  std::string many;
  for (size_t i = 1; i < Validator::kFoundMax; i++) many += "[1] ";
  expect(by, many + R"({"a":1})", R"({"a":1})");
  assert_true(kept(by, "[1] " + many + R"({"a":1})").starts_with("-"));
}

void patterns_and_rules_for_the_text(void**) {
  Validator pattern = made({.pattern = "^[a-z]+@[a-z]+$"});
  expect(pattern, "a@b", "a@b");
  expect(pattern, "mail a@b", "-the regular expression \"^[a-z]+@[a-z]+$\" is not found in it");
  Validator text = made({.chars_min = 2, .chars_max = 4, .contains = {"x"}, .excludes = {"y", "\""}});
  expect(text, "\xc3\xa9x", "\xc3\xa9x");
  expect(text, "x", "-it has 1 characters; wanted at least 2");
  expect(text, "xxxxx", "-it has 5 characters; wanted at most 4");
  expect(text, "abc", "-it lacks \"x\"");
  expect(text, "xy", "-it has \"y\" in it");
  expect(text, "x\"", "-it has \"\\\"\" in it");
  // Of what is passed on, not of the prose around it.
  Validator both = made({.json = Json::find, .chars_max = 3});
  expect(both, "here you are: [1]", "[1]");
}

void the_model_is_told(void**) {
  Validator by = made({.json = Json::find,
                       .schema = R"({"type":"array"})",
                       .pattern = "1",
                       .chars_min = 2,
                       .chars_max = 9,
                       .contains = {"["},
                       .excludes = {"x"},
                       .wanted = "a list"});
  assert_string_equal(by.ask_again("it is bad").c_str(),
                      "This answer cannot be used: it is bad.\n"
                      "Answer once more with JSON, and nothing before or after it.\n"
                      "What is wanted: a list\n"
                      "It has to fit this JSON Schema:\n{\"type\":\"array\"}\n"
                      "It has to have at least 2 characters.\n"
                      "It has to have at most 9 characters.\n"
                      "It has to contain \"[\".\n"
                      "It must not contain \"x\".\n"
                      "This regular expression has to be found in it: 1");
  assert_string_equal(made({.pattern = "a"}).ask_again("b").c_str(),
                      "This answer cannot be used: b.\nAnswer once more.\n"
                      "This regular expression has to be found in it: a");
}

void errors_are_short(void**) {
  Validator by = made({.contains = {std::string(400, '\x01')}});
  std::string error = by.check("a").error;
  assert_int_equal(error.size(), Validator::kErrorMax + 3);
  assert_true(error.ends_with("..."));
}

void rules_that_are_wrong(void**) {
  auto where = [](Validator::Rules rules) { return Validator::compile(std::move(rules)).error().where; };
  assert_true(where({.schema = R"({"items":{"type":"x"}})"}) == "/schema/items/type");
  assert_true(where({.pattern = "("}) == "/pattern");
}

}  // namespace
}  // namespace lb

int main() {
  using namespace lb;
  const CMUnitTest tests[] = {
      cmocka_unit_test(json_in_prose),
      cmocka_unit_test(json_and_nothing_else),
      cmocka_unit_test(the_first_that_fits_the_schema),
      cmocka_unit_test(patterns_and_rules_for_the_text),
      cmocka_unit_test(the_model_is_told),
      cmocka_unit_test(errors_are_short),
      cmocka_unit_test(rules_that_are_wrong),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
