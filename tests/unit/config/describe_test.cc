// The JSON Schema against the table it is made of.
#include "config/schema.h"
#include "fixture.h"
#include "wire/json.h"

namespace lb {
namespace {

using schema::Row;
using schema::Type;

JsonDocument parsed(const std::string& text) {
  Result<JsonDocument> document = JsonDocument::parse(text);
  assert_true(document.ok());
  return std::move(document.value());
}

// The part of the schema that describes `row`.
JsonView part_of(JsonView root, const Row& row) {
  std::string_view rest = row.path;
  JsonView at = root;
  if (!rest.empty()) rest.remove_prefix(1);
  while (!rest.empty()) {
    std::string_view segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(segment.size() + 1, rest.size()));
    if (segment != "*") at = at["properties"][segment];
    else if (at["items"].present()) at = at["items"];
    else if (at["additionalProperties"].is_object()) at = at["additionalProperties"];
    else at = at["anyOf"].first().next()["additionalProperties"]["anyOf"].first();  // Of `models`, the map.
    assert_true(at.is_object());
  }
  return at;
}

void every_row_is_described(void**) {
  JsonDocument document = parsed(config_schema());
  JsonView root = document.root();
  assert_text(std::string(root["$schema"].string()), "https://json-schema.org/draft/2020-12/schema");
  for (const Row& row : schema::rows()) {
    JsonView part = part_of(root, row);
    assert_true(part["description"].string().starts_with(row.doc));
    if (!row.fallback.empty() && !row.required()) {
      JsonDocument fallback = parsed("[" + std::string(row.fallback) + "]");
      assert_text(part["default"].print(), fallback.root().first().print());
    } else {
      assert_false(part["default"].present());
    }
  }
}

void bounds_are_there(void**) {
  JsonDocument document = parsed(config_schema());
  for (const Row& row : schema::rows()) {
    JsonView part = part_of(document.root(), row);
    if (row.type == Type::integer || row.type == Type::number) {
      assert_text(std::string(part["type"].string()), row.type == Type::integer ? "integer" : "number");
      assert_true(part["minimum"].number() >= row.low && part["minimum"].number() <= row.low);
      assert_true(part["maximum"].number() >= row.high && part["maximum"].number() <= row.high);
    }
    if (row.type == Type::list) assert_int_equal(part["maxItems"].number(), row.high);
    if (row.type == Type::choice)
      for (JsonView value = part["enum"].first(); value.present(); value = value.next())
        assert_true(schema::choice_index(row, value.string()).has_value());
  }
}

void objects_are_closed(void**) {
  JsonDocument document = parsed(config_schema());
  for (const Row& row : schema::rows()) {
    if (row.type != Type::object) continue;
    JsonView part = part_of(document.root(), row);
    assert_true(part["additionalProperties"].is_bool() && !part["additionalProperties"].boolean());
    size_t children = 0;
    for (const Row& other : schema::rows()) {
      if (!schema::is_child(row, other)) continue;
      children++;
      bool required = false;
      for (JsonView name = part["required"].first(); name.present(); name = name.next())
        if (name.string() == other.segment()) required = true;
      assert_int_equal(required, other.required());
    }
    assert_int_equal(part["properties"].size(), children);
  }
}

void units_are_told(void**) {
  JsonDocument document = parsed(config_schema());
  JsonView part = part_of(document.root(), schema::row(schema::Key::deadline_ms));
  assert_true(part["description"].string().ends_with("[ms]"));
}

}  // namespace
}  // namespace lb

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::every_row_is_described),
      cmocka_unit_test(lb::bounds_are_there),
      cmocka_unit_test(lb::objects_are_closed),
      cmocka_unit_test(lb::units_are_told),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
