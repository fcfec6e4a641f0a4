// JSON at rest: values as slices of a text that is there as a whole, found by walking it. No tree and no copy: what
// goes from one document into another goes byte for byte, so numbers keep their spelling and strings their escapes. The
// text is checked once, by parse(); all else relies on that. For bytes that come in pieces see scan.h, for
// configuration json.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/scan.h"

namespace lb {

class RawWalk;

// A value, valid while its text is. Absent is a value: asking it anything is safe.
class Raw {
 public:
  Raw() = default;
  // Checks `text` by RFC 8259, to the last byte; nesting up to JsonScan::kDepthMax. The message says at which byte.
  static Result<Raw> parse(std::string_view text);
  // The value that `text` begins with, whatever follows it; absent if there is none. `at`: one past it, or the byte at
  // which it ceased to be one, which is the size of the text where it was cut off.
  static Raw first(std::string_view text, size_t& at);

  bool present() const { return !text_.empty(); }
  JsonType type() const;
  bool is_object() const { return type() == JsonType::object; }
  bool is_array() const { return type() == JsonType::array; }
  bool is_string() const { return type() == JsonType::string; }
  bool is_number() const { return type() == JsonType::number; }
  bool is_null() const { return type() == JsonType::null; }
  bool is_true() const { return text_ == "true"; }
  bool is_false() const { return text_ == "false"; }
  // Neither absent nor null.
  bool given() const { return present() && !is_null(); }

  std::string_view text() const { return text_; }  // As it stands.
  // Of a string: what is between its quotes, escapes as they stand; "" of anything else.
  std::string_view inner() const { return is_string() ? text_.substr(1, text_.size() - 2) : std::string_view(); }
  std::string decoded() const;                     // The same with its escapes decoded.
  std::optional<uint64_t> integer() const;         // If it is one that is not negative and has no fraction.
  double number() const;                           // 0 unless a number.
  size_t size() const;                             // Members or elements.
  // The first member of that name; absent if there is none, or this is no object.
  Raw operator[](std::string_view key) const;
  RawWalk walk() const;

 private:
  friend class RawWalk;
  explicit Raw(std::string_view text) : text_(text) {}
  std::string_view text_;
};

// Members of an object, or elements of an array, in order: for (RawWalk at = value.walk(); at.next();) ...
class RawWalk {
 public:
  bool next();
  // Of a member, escapes as they stand.
  std::string_view key() const { return key_; }
  bool is(std::string_view name) const;  // The key, with its escapes decoded, is that.
  Raw value() const { return value_; }

 private:
  friend class Raw;
  explicit RawWalk(Raw of);
  std::string_view rest_;
  bool object_ = false;
  std::string_view key_;
  Raw value_;
};

}  // namespace lb
