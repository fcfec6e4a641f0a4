#include "config/config.h"
#include "config/schema.h"
#include "wire/json.h"

namespace lb {

namespace {

using schema::Row;
using schema::Type;

void describe(JsonWriter& json, const Row& row);

void write_bounds(JsonWriter& json, const Row& row, const char* low, const char* high) {
  if (!row.bounded()) return;
  json.key(low).value(row.low).key(high).value(row.high);
}

void write_members(JsonWriter& json, const Row& row) {
  json.key("type").value("object").key("additionalProperties").value(false);
  json.key("properties").begin_object();
  for (const Row& child : schema::rows()) {
    if (!schema::is_child(row, child)) continue;
    json.key(child.segment());
    describe(json, child);
  }
  json.end_object();
  json.key("required").begin_array();
  for (const Row& child : schema::rows())
    if (schema::is_child(row, child) && child.required()) json.value(child.segment());
  json.end_array();
}

void write_models(JsonWriter& json, const Row& row) {
  json.key("anyOf").begin_array();
  json.begin_object().key("type").value("array");
  write_bounds(json, row, "minItems", "maxItems");
  json.key("items").begin_object().key("type").value("string").key("minLength").value(uint64_t{1});
  json.end_object().end_object();
  json.begin_object().key("type").value("object");
  write_bounds(json, row, "minProperties", "maxProperties");
  json.key("additionalProperties").begin_object();
  json.key("anyOf").begin_array();
  describe(json, *schema::child(row, "*"));
  json.begin_object().key("type").value("null").end_object();
  json.end_array().end_object().end_object().end_array();
}

// A text, {env: NAME} or {file: PATH}.
void write_secret(JsonWriter& json, const Row& row) {
  json.key("anyOf").begin_array().begin_object().key("type").value("string");
  write_bounds(json, row, "minLength", "maxLength");
  json.end_object();
  for (const char* source : {"env", "file"}) {
    json.begin_object().key("type").value("object").key("additionalProperties").value(false);
    json.key("required").begin_array().value(source).end_array();
    json.key("properties").begin_object().key(source).begin_object().key("type").value("string");
    json.key("minLength").value(uint64_t{1}).end_object().end_object().end_object();
  }
  json.end_array();
}

void write_choices(JsonWriter& json, const Row& row) {
  json.key("enum").begin_array();
  for (std::string_view rest = row.unit; !rest.empty();) {
    size_t bar = std::min(rest.find('|'), rest.size());
    json.value(rest.substr(0, bar));
    rest.remove_prefix(std::min(bar + 1, rest.size()));
  }
  json.end_array();
}

void write_type(JsonWriter& json, const Row& row) {
  switch (row.type) {
    case Type::object: return write_members(json, row);
    case Type::list:
      json.key("type").value("array");
      write_bounds(json, row, "minItems", "maxItems");
      json.key("items");
      return describe(json, *schema::child(row, "*"));
    case Type::map:
      json.key("type").value("object");
      write_bounds(json, row, "minProperties", "maxProperties");
      json.key("additionalProperties");
      return describe(json, *schema::child(row, "*"));
    case Type::models: return write_models(json, row);
    case Type::json_object:
      json.key("type").value("object");
      return;
    case Type::boolean:
      json.key("type").value("boolean");
      return;
    case Type::integer: case Type::number:
      json.key("type").value(row.type == Type::integer ? "integer" : "number");
      return write_bounds(json, row, "minimum", "maximum");
    case Type::choice: return write_choices(json, row);
    case Type::secret: case Type::pem: return write_secret(json, row);
    case Type::name:
      json.key("type").value("string").key("pattern").value("^[A-Za-z0-9._:/@-]+$");
      return write_bounds(json, row, "minLength", "maxLength");
    case Type::url:
      json.key("type").value("string").key("pattern").value("^[Hh][Tt][Tt][Pp][Ss]?://");
      return write_bounds(json, row, "minLength", "maxLength");
    case Type::string: case Type::address:
      json.key("type").value("string");
      return write_bounds(json, row, "minLength", "maxLength");
  }
}

void describe(JsonWriter& json, const Row& row) {
  json.begin_object();
  if (row.path.empty()) json.key("$schema").value("https://json-schema.org/draft/2020-12/schema");
  bool unit = !row.unit.empty() && row.type != Type::choice;
  json.key("description").value(std::string(row.doc) + (unit ? " [" + std::string(row.unit) + "]" : ""));
  if (!row.fallback.empty() && !row.required()) json.key("default").raw(row.fallback);
  write_type(json, row);
  json.end_object();
}

}  // namespace

std::string config_schema() {
  JsonWriter json;
  describe(json, schema::rows()[0]);
  return json.take();
}

}  // namespace lb
