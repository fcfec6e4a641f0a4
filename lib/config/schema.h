// The rows of schema.def as values, and what can be asked of them. Immutable.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lb::schema {

enum class Key : uint8_t {
#define LB_KEY(id, path, type, low, high, fallback, unit, doc) id,
#include "config/schema.def"
#undef LB_KEY
};

// In the order of the values of `preset`.
enum class Preset : uint8_t { none, switchboard, lbgpt, aca, pllm, claude };

enum class Type : uint8_t {
  object,   // Its keys are rows.
  list,     // Its elements are of the row "*".
  map,      // Any name; its values are of the row "*".
  models,   // A list of names, or a map as above whose values may also be null.
  boolean,
  integer,
  number,
  string,
  name,     // Letters, digits and ._:/@- : safe in a header, a label and a shell.
  choice,
  url,
  address,
  secret,   // A string, {env: NAME} or {file: PATH}.
  json_object,  // As it stands: what is in it is no key of lb's.
  pem,      // A path, a text with "-----BEGIN", {env: NAME} or {file: PATH}.
};

struct Row {
  std::string_view path;
  Type type;
  double low;
  double high;
  std::string_view fallback;
  std::string_view unit;
  std::string_view doc;

  bool required() const { return fallback == "!"; }
  // The last part of the path.
  std::string_view segment() const { return path.substr(path.rfind('/') + 1); }
  bool bounded() const { return low != 0 || high != 0; }
};

std::span<const Row> rows();
const Row& row(Key key);
// JSON text of the default, as `preset` has it: see presets.def.
std::string_view fallback(Key key, Preset preset);

// The row of a member `segment` of `parent`; "*" for elements. Null when there is none.
const Row* child(const Row& parent, std::string_view segment);
// Is `candidate` a direct child of `parent`?
bool is_child(const Row& parent, const Row& candidate);

// "an integer from 0 to 100", "one of \"content\", \"head\"": for "write ...".
std::string expected(const Row& row);

bool is_name(std::string_view text);

// Of a choice: the place of `value` among the values of the row.
std::optional<uint32_t> choice_index(const Row& row, std::string_view value);

}  // namespace lb::schema
