#include "wire/json.h"

#include <cjson/cJSON.h>
#include <locale.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "base/text.h"
#include "wire/escape.h"

namespace lb {

namespace {

// While it lives, numbers of this thread have a decimal point. cJSON reads them by strtod, with the first byte of the
// host's decimal mark in place of the point: wrong where that mark has two bytes, or where the host changes its locale
// meanwhile.
class PlainNumbers {
 public:
  PlainNumbers() : plain_(newlocale(LC_ALL_MASK, "C", nullptr)), before_(uselocale(plain_)) {}
  PlainNumbers(const PlainNumbers&) = delete;
  PlainNumbers& operator=(const PlainNumbers&) = delete;
  ~PlainNumbers() {
    uselocale(before_);
    if (plain_) freelocale(plain_);
  }

 private:
  locale_t plain_;
  locale_t before_;
};

const cJSON* node_of(const void* node) { return static_cast<const cJSON*>(node); }

std::string place_of(std::string_view text, size_t at) {
  size_t line = 1, column = 1;
  for (size_t i = 0; i < at && i < text.size(); i++) {
    column++;
    if (text[i] == '\n') line++, column = 1;
  }
  return "line " + std::to_string(line) + " column " + std::to_string(column);
}

// Offset of the bracket that is too deep for cJSON, which recurses; npos if none is.
size_t too_deep(std::string_view text) {
  size_t depth = 0;
  for (size_t i = 0; i < text.size(); i++) {
    char c = text[i];
    if (c == '"') {
      for (i++; i < text.size() && text[i] != '"'; i++)
        if (text[i] == '\\') i++;
    } else if (c == '{' || c == '[') {
      if (++depth > JsonDocument::kDepthMax) return i;
    } else if ((c == '}' || c == ']') && depth > 0) {
      depth--;
    }
  }
  return std::string_view::npos;
}

// cJSON ends a string at the first NUL, and takes a \u without its four digits for one: what follows would be lost
// without a word.
std::optional<Error> lost_text(std::string_view text) {
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != '\\') continue;
    std::string_view code = text.substr(i + 1, 5);
    if (code == "u0000") return Error{Status::CONFIG, place_of(text, i), "a text holds a NUL; leave it out"};
    auto digits = std::count_if(code.begin(), code.end(), [](char c) { return hex_value(c) >= 0; });
    if (code.starts_with('u') && digits != 4)
      return Error{Status::CONFIG, place_of(text, i), "not valid JSON; write four hexadecimal digits behind \\u"};
    i++;  // The escaped byte, perhaps a backslash itself.
  }
  return std::nullopt;
}

// JSON pointer of a key that is there twice.
std::optional<std::string> repeated_key(const cJSON* node) {
  std::vector<std::string_view> keys;
  if (cJSON_IsObject(node))
    for (const cJSON* a = node->child; a; a = a->next) keys.push_back(a->string);
  std::sort(keys.begin(), keys.end());
  auto twice = std::adjacent_find(keys.begin(), keys.end());
  if (twice != keys.end()) return json_pointer_step(*twice);
  size_t index = 0;
  for (const cJSON* a = node->child; a; a = a->next, index++) {
    if (!a->child) continue;
    std::optional<std::string> below = repeated_key(a);
    if (below) return json_pointer_step(a->string ? a->string : std::to_string(index)) + *below;
  }
  return std::nullopt;
}

// Not by cJSON, whose numbers follow the locale.
void write(JsonWriter& out, JsonView value) {
  if (value.is_object() || value.is_array()) {
    value.is_object() ? out.begin_object() : out.begin_array();
    for (JsonView child = value.first(); child.present(); child = child.next()) {
      if (value.is_object()) out.key(child.key());
      write(out, child);
    }
    value.is_object() ? out.end_object() : out.end_array();
  } else if (value.is_string()) {
    out.value(value.string());
  } else if (value.is_number()) {
    out.value(value.number());
  } else if (value.is_bool()) {
    out.value(value.boolean());
  } else {
    out.null();
  }
}

}  // namespace

std::string json_pointer_step(std::string_view key) {
  std::string out = "/";
  for (char c : key) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

bool JsonView::is_object() const { return cJSON_IsObject(node_of(node_)); }
bool JsonView::is_array() const { return cJSON_IsArray(node_of(node_)); }
bool JsonView::is_string() const { return cJSON_IsString(node_of(node_)); }
bool JsonView::is_number() const { return cJSON_IsNumber(node_of(node_)); }
bool JsonView::is_bool() const { return cJSON_IsBool(node_of(node_)); }
bool JsonView::is_null() const { return cJSON_IsNull(node_of(node_)); }
std::string_view JsonView::string() const { return is_string() ? node_of(node_)->valuestring : std::string_view(); }
double JsonView::number() const { return is_number() ? node_of(node_)->valuedouble : 0; }
bool JsonView::boolean() const { return cJSON_IsTrue(node_of(node_)); }
std::string_view JsonView::key() const {
  return node_ && node_of(node_)->string ? node_of(node_)->string : std::string_view();
}
size_t JsonView::size() const {
  size_t n = 0;
  for (JsonView child = first(); child.present(); child = child.next()) n++;
  return n;
}
JsonView JsonView::operator[](std::string_view key) const {
  if (!is_object()) return {};
  for (JsonView child = first(); child.present(); child = child.next())
    if (child.key() == key) return child;
  return {};
}
JsonView JsonView::first() const {
  return JsonView(is_object() || is_array() ? node_of(node_)->child : nullptr);
}
JsonView JsonView::next() const { return JsonView(node_ ? node_of(node_)->next : nullptr); }

std::string JsonView::print() const {
  JsonWriter out;
  write(out, *this);
  return out.take();
}

const char* JsonView::type_name() const {
  if (!node_) return "nothing";
  if (is_object()) return "an object";
  if (is_array()) return "a list";
  if (is_string()) return "a string";
  if (is_number()) return "a number";
  if (is_bool()) return "a boolean";
  return "null";
}

Result<JsonDocument> JsonDocument::parse(std::string_view text) {
  if (size_t at = too_deep(text); at != std::string_view::npos)
    return Error{Status::CONFIG, place_of(text, at),
                 "nested too deeply; write at most " + std::to_string(kDepthMax) + " levels"};
  if (size_t at = text.find('\0'); at != std::string_view::npos)
    return Error{Status::CONFIG, place_of(text, at), "a NUL byte; leave it out"};
  if (std::optional<Error> lost = lost_text(text)) return *lost;
  const char* end = nullptr;
  // cJSON wants a terminator to check for what follows the value.
  std::string owned(text);
  PlainNumbers plain;
  cJSON* root = cJSON_ParseWithLengthOpts(owned.c_str(), owned.size() + 1, &end, true);
  if (!root) {
    auto at = end ? static_cast<size_t>(end - owned.c_str()) : 0;
    return Error{Status::CONFIG, place_of(text, at), "not valid JSON; mend what stands here or just before"};
  }
  JsonDocument document(root);
  if (std::optional<std::string> where = repeated_key(root))
    return Error{Status::CONFIG, *where, "is there twice; leave out one"};
  return document;
}

JsonDocument::JsonDocument(JsonDocument&& other) noexcept : root_(std::exchange(other.root_, nullptr)) {}
JsonDocument& JsonDocument::operator=(JsonDocument&& other) noexcept {
  std::swap(root_, other.root_);
  return *this;
}
JsonDocument::~JsonDocument() { cJSON_Delete(static_cast<cJSON*>(root_)); }
JsonView JsonDocument::root() const { return JsonView(root_); }

void JsonWriter::comma() {
  if (comma_) out_ += ',';
  comma_ = true;
}
JsonWriter& JsonWriter::begin_object() {
  comma();
  out_ += '{';
  comma_ = false;
  return *this;
}
JsonWriter& JsonWriter::end_object() {
  out_ += '}';
  comma_ = true;
  return *this;
}
JsonWriter& JsonWriter::begin_array() {
  comma();
  out_ += '[';
  comma_ = false;
  return *this;
}
JsonWriter& JsonWriter::end_array() {
  out_ += ']';
  comma_ = true;
  return *this;
}
JsonWriter& JsonWriter::key(std::string_view name) {
  comma();
  out_ += json_quote(name);
  out_ += ':';
  comma_ = false;
  return *this;
}
JsonWriter& JsonWriter::value(std::string_view text) { return raw(json_quote(text)); }
JsonWriter& JsonWriter::value(uint64_t number) { return raw(std::to_string(number)); }
JsonWriter& JsonWriter::value(int64_t number) { return raw(std::to_string(number)); }
JsonWriter& JsonWriter::value(double number) {
  if (!std::isfinite(number)) return null();
  // to_chars prefers 1e+05 to 100000.
  if (number != 0 && std::trunc(number) == number && std::fabs(number) < 0x1p53)
    return value(static_cast<int64_t>(number));
  char text[32];
  return raw({text, static_cast<size_t>(std::to_chars(text, text + sizeof text, number).ptr - text)});
}
JsonWriter& JsonWriter::value(bool boolean) { return raw(boolean ? "true" : "false"); }
JsonWriter& JsonWriter::null() { return raw("null"); }
JsonWriter& JsonWriter::raw(std::string_view json) {
  comma();
  out_ += json;
  return *this;
}
JsonWriter& JsonWriter::raw_string(std::string_view inner) {
  comma();
  out_.append("\"").append(inner).append("\"");
  return *this;
}

}  // namespace lb
