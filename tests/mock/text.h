// Appending texts and numbers to a string, without a stream or a format.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <type_traits>

namespace lb::mock {

template <typename T>
void add_one(std::string* out, const T& part) {
  if constexpr (std::is_convertible_v<T, std::string_view>) {
    *out += std::string_view(part);
  } else if constexpr (std::is_floating_point_v<T>) {
    char text[32];  // Times: 3 digits are microseconds. No locale.
    out->append(text, std::to_chars(text, text + sizeof text, part, std::chars_format::fixed, 3).ptr);
  } else {
    char text[24];
    out->append(text, std::to_chars(text, text + sizeof text, part).ptr);
  }
}

template <typename... T>
void add(std::string* out, const T&... parts) {
  (add_one(out, parts), ...);
}

inline void add_hex(std::string* out, uint64_t value) {
  char text[16];
  for (size_t i = 16; i-- > 0; value >>= 4) text[i] = "0123456789abcdef"[value & 15];
  out->append(text, sizeof text);
}

// As a JSON string, without its quotes. Bytes that are not ASCII pass as they are.
inline void add_inner(std::string* out, std::string_view text) {
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      out->append(escape, static_cast<size_t>(snprintf(escape, sizeof escape, "\\u%04x", c)));
    } else {
      *out += c;
    }
  }
}

inline void add_quoted(std::string* out, std::string_view text) {
  *out += '"';
  add_inner(out, text);
  *out += '"';
}

}  // namespace lb::mock
