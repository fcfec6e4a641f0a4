#include "config/yaml.h"

#include "fixture.h"

namespace lb {
namespace {

std::string json_of(std::string_view yaml) {
  Result<std::string> json = yaml_to_json(yaml);
  if (json.ok()) return json.value();
  return json.error().where + "! " + json.error().message;
}

void trees(void**) {
  assert_text(json_of("a: 1\nb: [x, 2, {c: }]\nd:\n- e\n- f: ~"),
              R"({"a":1,"b":["x",2,{"c":null}],"d":["e",{"f":null}]})");
  assert_text(json_of("[]"), "[]");
  assert_text(json_of("{}"), "{}");
  assert_text(json_of("a"), R"("a")");
  assert_text(json_of("'12'"), R"("12")");
  assert_text(json_of("\"t\\u00fc\\n\""), "\"t\xc3\xbc\\n\"");
  assert_text(json_of("a: |\n  one\n  two\n"), R"({"a":"one\ntwo\n"})");
  assert_text(json_of("a: >-\n  one\n  two\n"), R"({"a":"one two"})");
}

// A model may be called 4, or null.
void names_are_texts(void**) {
  assert_text(json_of("{4: a, null: b, true: c, '': d}"), R"({"4":"a","null":"b","true":"c","":"d"})");
}

void names_are_there_once(void**) {
  assert_text(json_of("a: 1\nb: 2\n\"a\": 3"), "! line 3 column 1: duplicate key; leave one of the two out");
  assert_text(json_of("a: {b: 1, b: 2}"), "! line 1 column 11: duplicate key; leave one of the two out");
  assert_text(json_of("[{a: 1}, {a: 2}]"), R"([{"a":1},{"a":2}])");
}

void aliases_copy(void**) {
  assert_text(json_of("a: &x [1, {b: 2}]\nc: *x\nd: [*x, *x]"),
              R"({"a":[1,{"b":2}],"c":[1,{"b":2}],"d":[[1,{"b":2}],[1,{"b":2}]]})");
  assert_text(json_of("a: &x 1\nb: *x\nc: &x 2\nd: *x"), R"({"a":1,"b":1,"c":2,"d":2})");  // The last of a name.
  assert_text(json_of("a: &x '1'\nb: *x"), R"({"a":"1","b":"1"})");
}

// Ten lines that would be ten thousand million texts.
void aliases_are_bounded(void**) {
  std::string bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
  for (int i = 1; i < 10; i++) {
    std::string alias = "*a" + std::to_string(i - 1), name = "a" + std::to_string(i), line = name + ": &" + name + " [";
    for (int j = 0; j < 10; j++) line += (j ? ", " : "") + alias;
    bomb += line + "]\n";
  }
  std::string message = json_of(bomb);
  assert_true(message.ends_with("aliases expand to more than 16 MiB; write less"));
  assert_true(message.size() < 100);
}

// ["aaa","bbb"] has seven bytes beside its letters.
void the_bound_is_where_it_says(void**) {
  size_t half = (kYamlBytesMax - 7) / 2, rest = kYamlBytesMax - 7 - half;
  std::string text = "[" + std::string(half, 'a') + ", " + std::string(rest, 'b') + "]";
  Result<std::string> json = yaml_to_json(text);
  assert_true(json.ok());
  assert_int_equal(json.value().size(), kYamlBytesMax);
  text.insert(1, "a");
  assert_false(yaml_to_json(text).ok());
}

void depth_is_bounded(void**) {
  auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  assert_text(json_of(nested(kYamlDepthMax)), nested(kYamlDepthMax));
  assert_text(json_of(nested(kYamlDepthMax + 1)), "! line 1 column 65: nested too deeply; write at most 64 levels");
  assert_true(json_of(std::string(1'000'000, '[')).ends_with("nested too deeply; write at most 64 levels"));
}

void errors_have_lines(void**) {
  assert_text(json_of("a: 1\nb: }"), "! line 2 column 4: did not find expected node content");
  assert_text(json_of("a: 'x"), "! line 1 column 6: found unexpected end of stream");
  assert_text(json_of("a: 1\n\tb: 2"), 
              "! line 2 column 1: found a tab character that violates indentation; indent with spaces, not tabs");
  assert_text(json_of("a: 1\nb: \x01"), "! line 2 column 4: control characters are not allowed");
  assert_text(json_of("a: b: c"), "! line 1 column 5: mapping values are not allowed in this context");
  assert_text(json_of("%YAML 9.0\n---\na: 1"), "! line 1 column 1: found incompatible YAML document");
}

}  // namespace
}  // namespace lb

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::trees),
      cmocka_unit_test(lb::names_are_texts),
      cmocka_unit_test(lb::names_are_there_once),
      cmocka_unit_test(lb::aliases_copy),
      cmocka_unit_test(lb::aliases_are_bounded),
      cmocka_unit_test(lb::the_bound_is_where_it_says),
      cmocka_unit_test(lb::depth_is_bounded),
      cmocka_unit_test(lb::errors_have_lines),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
