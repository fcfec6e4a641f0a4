#include "config/schema.h"

#include <array>

#include "base/text.h"

namespace lb::schema {

namespace {

constexpr auto kRows = std::to_array<Row>({
#define LB_KEY(id, path, type, low, high, fallback, unit, doc) \
  {path, Type::type, low, high, fallback, unit, doc},
#include "config/schema.def"
#undef LB_KEY
});

struct PresetRow {
  Preset preset;
  Key key;
  std::string_view json;
};
constexpr auto kPresets = std::to_array<PresetRow>({
#define LB_PRESET(preset, key, json) {Preset::preset, Key::key, json},
#include "config/presets.def"
#undef LB_PRESET
});

// Every bound and default is a whole number that a message should show without an exponent, except
// for weights.
std::string number_text(double number) {
  std::array<char, 32> text;
  auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  return error == std::errc() ? std::string(text.data(), end) : "?";
}

std::string range_text(const Row& row) {
  if (!row.bounded()) return "";
  return " from " + number_text(row.low) + " to " + number_text(row.high);
}

std::string values_text(std::string_view values) {
  std::string text;
  while (!values.empty()) {
    text += text.empty() ? "\"" : ", \"";
    text += split_off(values, '|');
    text += '"';
  }
  return text;
}

}  // namespace

std::span<const Row> rows() { return kRows; }

const Row& row(Key key) { return kRows[static_cast<size_t>(key)]; }

std::string_view fallback(Key key, Preset preset) {
  if (preset != Preset::none)
    for (const PresetRow& entry : kPresets)
      if (entry.preset == preset && entry.key == key) return entry.json;
  return row(key).fallback;
}

bool is_child(const Row& parent, const Row& candidate) {
  size_t at = parent.path.size();
  return candidate.path.size() > at && candidate.path.starts_with(parent.path) &&
         candidate.path.rfind('/') == at;
}

const Row* child(const Row& parent, std::string_view segment) {
  for (const Row& row : kRows)
    if (row.segment() == segment && is_child(parent, row)) return &row;
  return nullptr;
}

std::string expected(const Row& row) {
  switch (row.type) {
    case Type::object: return "an object";
    case Type::list: return row.low > 0 ? "a list with at least one element" : "a list";
    case Type::map: return "a map from names to values";
    case Type::models: return "a list of names, or a map from names to settings";
    case Type::boolean: return "true or false";
    case Type::integer: return "an integer" + range_text(row);
    case Type::number: return "a number" + range_text(row);
    case Type::string: return "a string";
    case Type::name: return "a name of up to 64 letters, digits and ._:/@-";
    case Type::choice: {
      std::string values = values_text(row.unit);
      return row.unit.find('|') == std::string_view::npos ? values : "one of " + values;
    }
    case Type::url: return "https://host/path";
    case Type::address: return "127.0.0.1:8080, [::1]:8080 or unix:/path";
    case Type::secret: return "a string, {env: NAME} or {file: PATH}";
    case Type::json_object: return "an object";
    case Type::pem: return "a path, PEM text, {env: NAME} or {file: PATH}";
  }
  return "";
}

bool is_name(std::string_view text) {
  for (char c : text) {
    bool letter = ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
    bool digit = c >= '0' && c <= '9';
    bool mark = std::string_view("._:/@-").find(c) != std::string_view::npos;
    if (!letter && !digit && !mark) return false;
  }
  return !text.empty();
}

std::optional<uint32_t> choice_index(const Row& row, std::string_view value) {
  std::string_view values = row.unit;
  for (uint32_t index = 0; !values.empty(); index++)
    if (split_off(values, '|') == value) return index;
  return std::nullopt;
}

}  // namespace lb::schema
