#include "base/text.h"
#include "wire/dialect/gemini_content_inside.h"
#include "wire/escape.h"

namespace lb::gemini {

namespace {

// The API gives these as 64-bit integers, which proto3 JSON writes as strings.
bool is_length(std::string_view key) {
  for (std::string_view name : {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
    if (named(key, name)) return true;
  return false;
}

class Schema {
 public:
  std::string take() { return std::move(out_); }

  void schema(Raw from, size_t depth) {
    if (!from.is_object() || depth == kSchemaDepthMax) {
      out_.append(from.text());
      return;
    }
    bool nullable = member(from, "nullable").is_true();
    bool first = true;
    out_.push_back('{');
    for (RawWalk at = from.walk(); at.next();) {
      if (left_out(at)) continue;
      if (!first) out_.push_back(',');
      first = false;
      keyword(at, nullable, depth);
    }
    out_.push_back('}');
  }

 private:
  static bool left_out(const RawWalk& at) {
    if (at.is("type")) return at.value().inner() == "TYPE_UNSPECIFIED";
    // OpenAPI's words, which JSON Schema has not.
    return at.is("nullable") || named(at.key(), "propertyOrdering") || at.is("example");
  }

  void keyword(const RawWalk& at, bool nullable, size_t depth) {
    std::string_view key = at.key();
    Raw value = at.value();
    if (is_length(key) && value.is_string() && parse_u64(value.inner())) return member_of(camel(key), value.inner());
    if (named(key, "anyOf")) return list("anyOf", value, nullable, depth);
    if (named(key, "prefixItems")) return list("prefixItems", value, false, depth);
    out_.append("\"").append(key).append("\":");
    if (at.is("type") && value.is_string())
      type(value.inner(), nullable);
    else if (at.is("properties") || at.is("$defs"))
      properties(value, depth);
    else if (at.is("items"))
      schema(value, depth + 1);
    else
      out_.append(value.text());
  }

  // min_items -> minItems.
  static std::string camel(std::string_view key) {
    std::string out;
    for (size_t i = 0; i < key.size(); i++) {
      bool up = key[i] == '_' && i + 1 < key.size() && key[i + 1] >= 'a' && key[i + 1] <= 'z';
      out.push_back(up ? static_cast<char>(key[++i] - 32) : key[i]);
    }
    return out;
  }

  void member_of(std::string_view name, std::string_view json) {
    out_.append("\"").append(name).append("\":").append(json);
  }

  void type(Inner name, bool nullable) {
    std::string low;
    for (char c : name) low.push_back(ascii_lower(c));
    if (nullable && low != "null")
      out_.append("[\"").append(low).append("\",\"null\"]");
    else
      out_.append("\"").append(low).append("\"");
  }

  void properties(Raw from, size_t depth) {
    if (!from.is_object()) {
      out_.append(from.text());
      return;
    }
    out_.push_back('{');
    for (RawWalk at = from.walk(); at.next();) {
      if (out_.back() != '{') out_.push_back(',');
      out_.append("\"").append(at.key()).append("\":");
      schema(at.value(), depth + 1);
    }
    out_.push_back('}');
  }

  void list(std::string_view name, Raw from, bool nullable, size_t depth) {
    out_.append("\"").append(name).append("\":[");
    for (RawWalk at = from.walk(); at.next();) {
      if (out_.back() != '[') out_.push_back(',');
      schema(at.value(), depth + 1);
    }
    if (nullable) out_.append(out_.back() == '[' ? "{\"type\":\"null\"}" : ",{\"type\":\"null\"}");
    out_.push_back(']');
  }

  std::string out_;
};

}  // namespace

std::string json_schema_of(Raw from) {
  Schema schema;
  schema.schema(from, 0);
  return schema.take();
}

}  // namespace lb::gemini
