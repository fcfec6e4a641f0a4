#include "config/check.h"

#include <cmath>

#include "base/text.h"
#include "config/nearest.h"
#include "config/schema.h"
#include "config/url.h"

namespace lb {

namespace {

using schema::Row;
using schema::Type;

Problem check_value(const Place& place, const Row& row, JsonView view);

// Quotes are what YAML's types hang on: 4 is a number, and a model may be called "4".
const char* quotes_hint(const Row& row, JsonView view) {
  bool number = row.type == Type::integer || row.type == Type::number;
  bool text = row.type == Type::string || row.type == Type::name || row.type == Type::secret;
  if (number && view.is_string() && parse_double(view.string())) return " (without quotes)";
  bool bare = view.is_number() || view.is_bool() || view.is_null();
  return text && bare ? " (quotes make it a string)" : "";
}

Problem wrong_type(const Place& place, const Row& row, JsonView view) {
  return place.error(std::string("is ") + view.type_name() + "; write " + schema::expected(row) +
                     quotes_hint(row, view));
}

Problem check_size(const Place& place, const Row& row, size_t size, const char* of) {
  if (!row.bounded()) return std::nullopt;
  double count = static_cast<double>(size);
  if (count < row.low) return place.error("is empty; write " + schema::expected(row));
  if (count <= row.high) return std::nullopt;
  std::string most = std::to_string(static_cast<uint64_t>(row.high));
  return place.error("has more than " + most + " " + of + "; write fewer");
}

// What to write instead of a key that is not known here.
std::string remedy(const Row& parent, std::string_view key) {
  Nearest nearest(key);
  std::string known, elsewhere;
  for (const Row& row : schema::rows()) {
    if (row.segment() == key) (elsewhere += elsewhere.empty() ? "" : " or ") += row.path;
    if (!schema::is_child(parent, row)) continue;
    nearest.offer(row.segment());
    known += known.empty() ? "" : ", ";
    known += row.segment();
  }
  if (!elsewhere.empty() && key != "*") return "; it belongs at " + elsewhere;
  return nearest.hint("; the keys here are: " + known);
}

Problem check_object(const Place& place, const Row& row, JsonView view) {
  if (!view.is_object()) return wrong_type(place, row, view);
  for (JsonView member = view.first(); member.present(); member = member.next()) {
    std::string_view key = member.key();
    const Row* known = key == "*" ? nullptr : schema::child(row, key);
    if (!known) return place.at(key).error("unknown key" + remedy(row, key));
    if (Problem problem = check_value(place.at(key), *known, member)) return problem;
  }
  for (const Row& known : schema::rows()) {
    if (!known.required() || !schema::is_child(row, known)) continue;
    if (view[known.segment()].present()) continue;
    return place.at(known.segment()).error("missing; write " + schema::expected(known));
  }
  return std::nullopt;
}

Problem check_list(const Place& place, const Row& row, JsonView view) {
  if (!view.is_array()) return wrong_type(place, row, view);
  if (Problem problem = check_size(place, row, view.size(), "elements")) return problem;
  const Row* element_row = schema::child(row, "*");
  size_t index = 0;
  for (JsonView element = view.first(); element.present(); element = element.next()) {
    Place here = place.at(index++);
    if (Problem problem = check_value(here, *element_row, element)) return problem;
  }
  return std::nullopt;
}

Problem check_map(const Place& place, const Row& row, JsonView view) {
  if (!view.is_object()) return wrong_type(place, row, view);
  if (Problem problem = check_size(place, row, view.size(), "members")) return problem;
  const Row* value_row = schema::child(row, "*");
  for (JsonView member = view.first(); member.present(); member = member.next()) {
    Place here = place.at(member.key());
    if (member.key().empty()) return here.error("the name is empty; write one");
    bool bare = row.type == Type::models && member.is_null();
    if (bare) continue;
    if (Problem problem = check_value(here, *value_row, member)) return problem;
  }
  return std::nullopt;
}

Problem check_models(const Place& place, const Row& row, JsonView view) {
  if (view.is_object()) return check_map(place, row, view);
  if (!view.is_array()) return wrong_type(place, row, view);
  if (Problem problem = check_size(place, row, view.size(), "elements")) return problem;
  size_t index = 0;
  for (JsonView element = view.first(); element.present(); element = element.next()) {
    Place here = place.at(index++);
    if (!element.is_string())
      return here.error(std::string("is ") + element.type_name() +
                        "; write the name of a model (quotes make it a string)");
    if (element.string().empty()) return here.error("is empty; write the name of a model");
  }
  return std::nullopt;
}

Problem check_number(const Place& place, const Row& row, JsonView view) {
  if (!view.is_number()) return wrong_type(place, row, view);
  double number = view.number();
  if (row.type == Type::integer && std::floor(number) != number)
    return place.error("is not whole; write " + schema::expected(row));
  if (number >= row.low && number <= row.high) return std::nullopt;
  return place.error("is out of range; write " + schema::expected(row));
}

// {env: NAME} or {file: PATH}. Says nothing of what it found: it may be the secret itself in a wrong place.
Problem check_secret_object(const Place& place, const Row& row, JsonView view) {
  JsonView member = view.first();
  bool named = member.key() == "env" || member.key() == "file";
  if (view.size() != 1 || !named || !member.is_string())
    return place.error("is not a known object; write " + schema::expected(row));
  std::string_view text = member.string();
  if (text.empty()) return place.error("the name is empty; write " + schema::expected(row));
  if (member.key() == "file") return std::nullopt;
  for (char c : text) {
    bool letter = ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
    bool digit = c >= '0' && c <= '9';
    if (!letter && !digit && c != '_')
      return place.error("is not the name of an environment variable; write letters, digits and _");
  }
  return std::nullopt;
}

// The texts whose form is more than a length.
Problem check_form(const Place& place, const Row& row, std::string_view text) {
  switch (row.type) {
    case Type::name:
      if (!schema::is_name(text))
        return place.error("has other characters; write " + schema::expected(row));
      return std::nullopt;
    case Type::choice: {
      if (schema::choice_index(row, text)) return std::nullopt;
      return place.error("is not known; write " + schema::expected(row));
    }
    case Type::url: {
      Result<Url> url = parse_url(text);
      if (!url.ok()) return place.error(url.error().message);
      return std::nullopt;
    }
    case Type::address:
      if (!is_listen_address(text))
        return place.error("is not an address; write " + schema::expected(row));
      return std::nullopt;
    case Type::object: case Type::list: case Type::map: case Type::models: case Type::boolean:
    case Type::integer: case Type::number: case Type::string: case Type::secret: case Type::pem:
    case Type::json_object:
      return std::nullopt;
  }
  return std::nullopt;
}

Problem check_text(const Place& place, const Row& row, JsonView view) {
  bool secret = row.type == Type::secret || row.type == Type::pem;
  if (secret && view.is_object()) return check_secret_object(place, row, view);
  if (!view.is_string()) return wrong_type(place, row, view);
  std::string_view text = view.string();
  if (Problem problem = check_size(place, row, text.size(), "bytes")) return problem;
  return check_form(place, row, text);
}

Problem check_value(const Place& place, const Row& row, JsonView view) {
  switch (row.type) {
    case Type::object: return check_object(place, row, view);
    case Type::list: return check_list(place, row, view);
    case Type::map: return check_map(place, row, view);
    case Type::models: return check_models(place, row, view);
    case Type::boolean:
      return view.is_bool() ? std::nullopt : wrong_type(place, row, view);
    case Type::json_object:
      return view.is_object() ? std::nullopt : wrong_type(place, row, view);
    case Type::integer: case Type::number: return check_number(place, row, view);
    case Type::string: case Type::name: case Type::choice: case Type::url: case Type::address:
    case Type::secret: case Type::pem:
      return check_text(place, row, view);
  }
  return std::nullopt;
}

}  // namespace

Problem check_shape(JsonView document, schema::Key as) { return check_value(Place(), schema::row(as), document); }

}  // namespace lb
