// What the official suite (tests/schema) does not ask: the words of faults, what is refused, and the limits.
#include "wire/json_schema.h"

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

// The fault of `value`, "" if it has none.
std::string fault(std::string_view schema, std::string_view value) {
  Result<JsonSchema> compiled = JsonSchema::compile(schema);
  if (!compiled.ok()) fail_msg("%s: %s", compiled.error().where.c_str(), compiled.error().message.c_str());
  auto fault = compiled.value().check(Raw::parse(value).value());
  return fault ? fault->where + ": " + fault->message : "";
}
void fits(std::string_view schema, std::string_view value) { assert_string_equal(fault(schema, value).c_str(), ""); }
void breaks(std::string_view schema, std::string_view value, const char* want) {
  assert_string_equal(fault(schema, value).c_str(), want);
}
std::string refusal(std::string_view schema) {
  Result<JsonSchema> compiled = JsonSchema::compile(schema);
  return compiled.ok() ? "" : compiled.error().where + ": " + compiled.error().message;
}
void refuses(std::string_view schema, const char* want) { assert_string_equal(refusal(schema).c_str(), want); }

constexpr std::string_view kOrder = R"({"type":"object","required":["id","lines"],"additionalProperties":false,
  "properties":{"id":{"type":"integer","minimum":1},"note":{"type":["string","null"],"maxLength":3},
  "lines":{"type":"array","minItems":1,"items":{"$ref":"#/$defs/line"}}},
  "$defs":{"line":{"type":"object","required":["sku"],"properties":{"sku":{"type":"string","pattern":"^[A-Z]+$"},
  "kind":{"enum":["a","b"]},"price":{"multipleOf":0.01}}}}})";

void faults_name_place_and_wish(void**) {
  fits(kOrder, R"({"id":1.0,"note":null,"lines":[{"sku":"A","kind":"b","price":19.99}]})");
  breaks(kOrder, "[]", ": wanted an object, not an array");
  breaks(kOrder, R"({"id":1})", ": lacks the member \"lines\"");
  breaks(kOrder, R"({"id":0,"lines":[{"sku":"A"}]})", "/id: wanted a number at least 1, not 0");
  breaks(kOrder, R"({"id":1.5,"lines":[{"sku":"A"}]})", "/id: wanted an integer, not a number");
  breaks(kOrder, R"({"id":1,"lines":[]})", "/lines: wanted at least 1 elements, not 0");
  breaks(kOrder, R"({"id":1,"note":7,"lines":[{"sku":"A"}]})", "/note: wanted null or a string, not an integer");
  breaks(kOrder, R"({"id":1,"note":"\u00e9\ud83d\ude00ab","lines":[{"sku":"A"}]})",
         "/note: wanted at most 3 characters, not 4");
  breaks(kOrder, R"({"id":1,"lines":[{"sku":"A"},{"sku":"a"}]})",
         "/lines/1/sku: wanted a text in which ^[A-Z]+$ is found, not \"a\"");
  breaks(kOrder, R"({"id":1,"lines":[{"sku":"A","kind":"c"}]})",
         "/lines/0/kind: wanted one of [\"a\",\"b\"], not \"c\"");
  breaks(kOrder, R"({"id":1,"lines":[{"sku":"A","price":0.015}]})",
         "/lines/0/price: wanted a multiple of 0.01, not 0.015");
  breaks(kOrder, R"({"id":1,"lines":[{"sku":"A"}],"a/b~":1})", "/a~1b~0: must not be there");
}

void alternatives_say_what_came_nearest(void**) {
  constexpr std::string_view kEither =
      R"({"anyOf":[{"type":"null"},{"properties":{"a":{"type":"string"}},"required":["a"]}]})";
  fits(kEither, "null");
  breaks(kEither, R"({"a":1})",
         ": fits none of the 2 schemas of `anyOf`; of the nearest, at /a: wanted a string, not an integer");
  breaks(R"({"oneOf":[{"minimum":1},{"maximum":5}]})", "3",
         ": fits 2 of the schemas of `oneOf`; wanted exactly one");
  breaks(R"({"not":{"type":"null"}})", "null", ": fits what `not` rules out");
  breaks(R"({"contains":{"type":"null"}})", "[1]",
         ": wanted at least 1 elements that fit `contains`, not 0; at /0: wanted null, not an integer");
}

void numbers_are_compared_as_written(void**) {
  fits(R"({"const":9007199254740993})", "9007199254740993");
  breaks(R"({"const":9007199254740993})", "9007199254740992", ": wanted 9007199254740993, not 9007199254740992");
  fits(R"({"enum":[{"b":1.0,"a":[1e2]}]})", R"({"a":[100],"b":1})");
  breaks(R"({"uniqueItems":true})", R"([{"a":1,"b":"\u0061"},2,{"b":"a","a":1.0}])",
         "/2: is the same as an element before it; wanted each once");
}

// Only the end of the text is an end, and \u is a character.
void patterns_are_ecmas(void**) {
  breaks(R"({"pattern":"^a$"})", R"("a\n")", ": wanted a text in which ^a$ is found, not \"a\\n\"");
  fits(R"({"pattern":"^\\u00e9$"})", "\"\xc3\xa9\"");
}

void references_stay_within(void**) {
  constexpr std::string_view kTree = R"({"$id":"https://a.example/t","properties":{"v":{"type":"integer"},
    "kids":{"items":{"$ref":"#"}},"own":{"$ref":"https://a.example/t#/properties/v"},"n":{"$ref":"#name"}},
    "$defs":{"x":{"$anchor":"name","type":"string"}}})";
  fits(kTree, R"({"v":1,"kids":[{"v":2,"kids":[{"own":3,"n":"x"}]}]})");
  breaks(kTree, R"({"kids":[{"kids":[{"v":"x"}]}]})", "/kids/0/kids/0/v: wanted an integer, not a string");
  breaks(kTree, R"({"n":1})", "/n: wanted a string, not an integer");
  refuses(R"({"items":{"$ref":"https://b.example/"}})",
          "/items/$ref: leads out of the schema, where nothing is fetched; write what it means under $defs");
  refuses(R"({"$ref":"#/$defs/a"})", "/$ref: leads nowhere; write \"#/$defs/\" and a name that stands there");
  refuses(R"({"$ref":"#a"})",
          "/$ref: names no $anchor of the schema; write \"#/$defs/\" and a name that stands there");
}

void what_is_not_known_and_asserts_is_refused(void**) {
  for (const char* word : {"unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef", "nullable"}) {
    std::string said = refusal(std::string(R"({"properties":{"a":{")") + word + "\":false}}}");
    assert_true(said.starts_with(std::string("/properties/a/") + word + ": is not checked here; "));
  }
  // Annotations, and words that are nobody's.
  fits(R"({"title":"t","description":"d","default":1,"format":"date","x-mine":true,"examples":[1]})", "2");
}

void a_schema_that_is_none_is_refused(void**) {
  refuses("[]", ": is no schema; write an object, true or false");
  refuses("{", ": no valid JSON at byte 1; write an object");
  refuses(R"({"type":"text"})",
          "/type: is no type; write null, boolean, integer, number, string, array, object, or a list");
  refuses(R"({"properties":{"a":1}})", "/properties/a: is no schema; write an object, true or false");
  refuses(R"({"properties":[]})", "/properties: is no object; write one of names and schemas");
  refuses(R"({"required":true})", "/required: is no list; write a list of names");
  refuses(R"({"$defs":{"unused":{"minLength":-1}}})", "/$defs/unused: is no count; write 0 or a whole number above");
  refuses(R"({"multipleOf":0})", "/multipleOf: is no divisor; write a number above 0 with at most 18 digits");
  refuses(R"({"minimum":"1"})", "/minimum: is no number; write one");
  assert_true(refusal(R"({"pattern":"("})").starts_with("/pattern: not a regular expression, at byte 1"));
  assert_true(refusal(R"({"patternProperties":{"(":{}}})").starts_with("/patternProperties/(: not a regular"));
  refuses(R"({"allOf":{}})", "/allOf: is no list; write a list of schemas");
  refuses("\"" + std::string(JsonSchema::kTextMax, 'x') + "\"",
          ": has more than 262144 bytes; write a smaller schema");
}

constexpr const char* kGivenUp = ": is too deep or too long to be checked against this schema";

// Whatever the schema: references in circles, alternatives of alternatives, patterns that backtrack.
void work_is_bounded(void**) {
  breaks(R"({"$ref":"#"})", "1", kGivenUp);
  breaks(R"({"anyOf":[{"$ref":"#"},{"$ref":"#"}]})", "1", kGivenUp);
  breaks(R"({"not":{"$ref":"#"}})", "1", kGivenUp);
  // Each level twice: two to the power of forty.
  std::string doubling = R"({"$defs":{"a0":{"type":"string"})";
  for (int i = 1; i < 40; i++) {
    std::string below = R"({"$ref":"#/$defs/a)" + std::to_string(i - 1) + "\"}";
    doubling += ",\"a" + std::to_string(i) + R"(":{"anyOf":[)" + below + "," + below + "]}";
  }
  breaks(doubling + R"(},"$ref":"#/$defs/a39"})", "1", kGivenUp);
  std::string list = "[";
  for (int i = 0; i < 2000; i++) list += "\"" + std::string(30, 'a') + "!\",";
  list += "1]";
  breaks(R"({"items":{"not":{"pattern":"^(a+)+$"}}})", list, kGivenUp);
}

// Two schemas for each level but the first.
void nesting_has_a_limit(void**) {
  auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  constexpr std::string_view kLists = R"({"type":"array","items":{"$ref":"#"}})";
  fits(kLists, nested(JsonSchema::kDepthMax / 2));
  breaks(kLists, nested(JsonSchema::kDepthMax / 2 + 1), kGivenUp);
}

}  // namespace
}  // namespace lb

int main() {
  using namespace lb;
  const CMUnitTest tests[] = {
      cmocka_unit_test(faults_name_place_and_wish),
      cmocka_unit_test(alternatives_say_what_came_nearest),
      cmocka_unit_test(numbers_are_compared_as_written),
      cmocka_unit_test(patterns_are_ecmas),
      cmocka_unit_test(references_stay_within),
      cmocka_unit_test(what_is_not_known_and_asserts_is_refused),
      cmocka_unit_test(a_schema_that_is_none_is_refused),
      cmocka_unit_test(work_is_bounded),
      cmocka_unit_test(nesting_has_a_limit),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
