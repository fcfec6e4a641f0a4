// JSON appended to a text that is another's: commas are its business, and nothing is allocated but by that text.
// What stands in a document already goes over as an inner or as raw; see wire/escape.h. To keep a text see JsonWriter.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/escape.h"
#include "wire/raw.h"

namespace lb {

class JsonText {
 public:
  explicit JsonText(std::string& out) : out_(out) {}

  JsonText& begin_object() { return begin('{'); }
  JsonText& end_object() { return end('}'); }
  JsonText& begin_array() { return begin('['); }
  JsonText& end_array() { return end(']'); }
  JsonText& key(std::string_view inner) {
    comma();
    out_.append("\"").append(inner).append("\":");
    comma_ = false;
    return *this;
  }

  JsonText& inner(std::string_view inner) { return put("\"", inner, "\""); }
  JsonText& raw(Raw value) { return put("", value.present() ? value.text() : "null", ""); }
  JsonText& raw(std::string_view json) { return put("", json, ""); }
  JsonText& boolean(bool value) { return put("", value ? "true" : "false", ""); }
  JsonText& null() { return put("", "null", ""); }
  JsonText& number(uint64_t value) {
    char digits[20];
    auto [last, error] = std::to_chars(digits, digits + sizeof digits, value);
    return put("", std::string_view(digits, static_cast<size_t>(last - digits)), "");
  }
  JsonText& bytes(std::string_view text) {
    comma();
    out_.push_back('"');
    append_inner(out_, text);
    out_.push_back('"');
    return *this;
  }

  // Members.
  JsonText& inner(std::string_view name, std::string_view value) { return key(name).inner(value); }
  JsonText& bytes(std::string_view name, std::string_view value) { return key(name).bytes(value); }
  JsonText& number(std::string_view name, uint64_t value) { return key(name).number(value); }
  JsonText& boolean(std::string_view name, bool value) { return key(name).boolean(value); }
  JsonText& null(std::string_view name) { return key(name).null(); }
  JsonText& raw(std::string_view name, Raw value) { return key(name).raw(value); }
  // Those that are left out where nothing is to be said.
  JsonText& given(std::string_view name, Raw value) { return value.given() ? raw(name, value) : *this; }
  JsonText& given(std::string_view name, std::string_view value) { return value.empty() ? *this : inner(name, value); }

  std::string& out() { return out_; }

 private:
  JsonText& begin(char c) {
    comma();
    out_.push_back(c);
    comma_ = false;
    return *this;
  }
  JsonText& end(char c) {
    out_.push_back(c);
    comma_ = true;
    return *this;
  }
  JsonText& put(std::string_view before, std::string_view value, std::string_view after) {
    comma();
    out_.append(before).append(value).append(after);
    return *this;
  }
  void comma() {
    if (comma_) out_.push_back(',');
    comma_ = true;
  }

  std::string& out_;
  bool comma_ = false;
};

}  // namespace lb
