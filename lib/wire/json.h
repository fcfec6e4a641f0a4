// JSON trees for configuration and other small documents: a read-only view over cJSON, which stands in json.cc
// only. Not for request bodies: see scan.h. Numbers are doubles; integers are exact to 2^53.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace lb {

class JsonDocument;

// A node of a document, valid while the document lives. Absent is a value: reading through it is safe.
class JsonView {
 public:
  JsonView() = default;
  bool present() const { return node_ != nullptr; }
  bool is_object() const;
  bool is_array() const;
  bool is_string() const;
  bool is_number() const;
  bool is_bool() const;
  bool is_null() const;
  std::string_view string() const;  // "" unless a string.
  double number() const;            // 0 unless a number.
  bool boolean() const;             // false unless true.
  std::string_view key() const;     // Its name in the enclosing object; "" elsewhere.
  size_t size() const;              // Members or elements.
  JsonView operator[](std::string_view key) const;  // Case counts. The first of that name.
  JsonView first() const;           // First member or element; walk on with `next`.
  JsonView next() const;
  std::string print() const;        // Compact text.
  const char* type_name() const;    // "an object", "a string", ... for messages.

 private:
  friend class JsonDocument;
  explicit JsonView(const void* node) : node_(node) {}
  const void* node_ = nullptr;
};

class JsonDocument {
 public:
  static constexpr size_t kDepthMax = 200;  // No configuration is deeper than ten.

  // `where` of an error is "line N column M", or the JSON pointer of a key that is there twice; nesting above
  // kDepthMax and NULs in strings are errors too. The host's locale has no say in numbers.
  static Result<JsonDocument> parse(std::string_view text);
  JsonDocument(JsonDocument&&) noexcept;
  JsonDocument& operator=(JsonDocument&&) noexcept;
  ~JsonDocument();
  JsonView root() const;

 private:
  explicit JsonDocument(void* root) : root_(root) {}
  void* root_ = nullptr;
};

// "/key": one step of a JSON pointer (RFC 6901 §3), with ~ and / in the key escaped.
std::string json_pointer_step(std::string_view key);

// Writes JSON: for stats, errors, logs. Commas are its business.
class JsonWriter {
 public:
  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(uint64_t number);
  JsonWriter& value(int64_t number);
  JsonWriter& value(double number);  // A short form that reads back; NaN and infinities become null.
  JsonWriter& value(bool boolean);
  JsonWriter& null();
  JsonWriter& raw(std::string_view json);  // Already JSON.
  JsonWriter& raw_string(std::string_view inner);  // Of what stands between a string's quotes.
  std::string take() { return std::move(out_); }

 private:
  void comma();
  std::string out_;
  bool comma_ = false;
};

}  // namespace lb
