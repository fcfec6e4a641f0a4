// `validate` of a route: what it may say, what it is by default, and what is wrong with it.
#include "fixture.h"

namespace lb {
namespace {

std::string route(const std::string& validate) {
  return "deployments: [{name: a, kind: echo, models: [m]}]\nroutes: [{model: m, validate: " + validate + "}]";
}
std::shared_ptr<const AnswerRules> rules_of(const std::string& validate) {
  return taken(route(validate))->routes[0].rules;
}
void fits(const std::string& validate, std::string_view text, bool want) {
  if (rules_of(validate)->validator.check(text).valid != want) fail_msg("%s", validate.c_str());
}
// Of /routes/0/validate.
void refuses(const std::string& validate, const std::string& want) {
  assert_text(refusal(route(validate)), ("/routes/0/validate" + want).c_str());
}

void nothing_is_checked_by_default(void**) {
  assert_null(taken("deployments: [{name: a, kind: echo, models: [m]}]\nroutes: [{model: m}]")->routes[0].rules.get());
  assert_int_equal(rules_of("{json: find}")->asks, 3);
  assert_int_equal(rules_of("{json: find}")->hold_bytes, 4 << 20);
  std::shared_ptr<const AnswerRules> rules = rules_of("{json: find, asks: 0, hold_bytes: 1024}");
  assert_true(rules->asks == 0 && rules->hold_bytes == 1024);
}

void each_key_is_read(void**) {
  fits("{json: find}", "so: [1]", true);
  fits("{json: strict}", "so: [1]", false);
  fits("{schema: {type: array}}", "so: [1]", true);
  fits("{schema: {type: array}, json: strict}", "so: [1]", false);
  fits("{schema: {type: object}}", "[1]", false);
  fits("{pattern: '^a'}", "ba", false);
  fits("{text: {min_chars: 2}}", "a", false);
  fits("{text: {max_chars: 2}}", "abc", false);
  fits("{text: {max_chars: 0}}", "a", false);
  fits("{text: {contains: [a, b]}}", "ac", false);
  fits("{text: {contains: [a, b]}}", "ab", true);
  fits("{text: {excludes: [a]}}", "ab", false);
  std::string next = rules_of("{text: {min_chars: 1}, wanted: a poem}")->validator.ask_again("it is empty");
  assert_true(next.find("a poem") != std::string::npos);
}

// What is in a schema is no key of lb's.
void schemas_are_taken_as_they_stand(void**) {
  fits("{schema: {properties: {model: {const: 1.5}, routes: {enum: [yes, null]}}}}", R"({"model":1.5,"routes":null})",
       true);
}

void what_is_wrong(void**) {
  refuses("{}", ": checks nothing; write `json`, `schema`, `pattern` or `text`");
  refuses("{wanted: a poem, asks: 2}", ": checks nothing; write `json`, `schema`, `pattern` or `text`");
  refuses("{text: {}}", ": checks nothing; write `json`, `schema`, `pattern` or `text`");
  refuses("{schema: [1]}", "/schema: is a list; write an object");
  refuses("{schema: {items: {$ref: b}}}",
          "/schema/items/$ref: leads out of the schema, where nothing is fetched; write what it means under $defs");
  refuses("{pattern: '('}", "/pattern: not a regular expression, at byte 1: missing closing parenthesis; mend what "
                            "stands there or just before");
  refuses("{text: {min_chars: 3, max_chars: 2}}", "/text: has a `min_chars` above `max_chars`; write a smaller one");
  refuses("{json: maybe}", "/json: is not known; write one of \"find\", \"strict\"");
}

void rules_by_themselves(void**) {
  assert_true(parse_answer_rules("json: find").ok());
  assert_true(parse_answer_rules(R"({"text":{"contains":["a"]}})").value()->validator.check("a").valid);
  assert_text(parse_answer_rules("jsom: find").error().where.c_str(), "/jsom");
  assert_text(parse_answer_rules("pattern: '('").error().where.c_str(), "/pattern");
}

}  // namespace
}  // namespace lb

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::nothing_is_checked_by_default),   cmocka_unit_test(lb::each_key_is_read),
      cmocka_unit_test(lb::schemas_are_taken_as_they_stand), cmocka_unit_test(lb::what_is_wrong),
      cmocka_unit_test(lb::rules_by_themselves),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
