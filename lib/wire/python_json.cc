#include "wire/python_json.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <system_error>

#include "base/text.h"
#include "wire/escape.h"

namespace lb {

namespace {

// A UTF-16 code unit.
void append_unit(std::string& out, uint32_t unit) {
  static constexpr std::string_view kShort = "\b\f\n\r\t\"\\", kLetters = "bfnrt\"\\";
  static constexpr char kHex[] = "0123456789abcdef";
  size_t known = unit < 0x80 ? kShort.find(static_cast<char>(unit)) : kShort.npos;
  if (known != kShort.npos) {
    out.append({'\\', kLetters[known]});
  } else if (unit >= 0x20 && unit < 0x7f) {
    out.push_back(static_cast<char>(unit));
  } else {
    out.append("\\u");
    for (int shift = 12; shift >= 0; shift -= 4) out.push_back(kHex[unit >> shift & 15]);
  }
}

// The character that begins at `at`; one past it. A byte that begins none is U+FFFD.
size_t append_character(std::string& out, std::string_view inner, size_t at) {
  auto byte = [&](size_t i) { return uint32_t{static_cast<unsigned char>(inner[at + i])}; };
  size_t size = utf8_size(inner.substr(at));
  uint32_t code = 0xfffd;
  if (size == 1) code = byte(0);
  if (size == 2) code = (byte(0) & 31) << 6 | (byte(1) & 63);
  if (size == 3) code = (byte(0) & 15) << 12 | (byte(1) & 63) << 6 | (byte(2) & 63);
  if (size == 4) {
    code = ((byte(0) & 7) << 18 | (byte(1) & 63) << 12 | (byte(2) & 63) << 6 | (byte(3) & 63)) - 0x10000;
    append_unit(out, 0xd800 + (code >> 10));
    code = 0xdc00 + (code & 0x3ff);
  }
  append_unit(out, code);
  return at + (size == 0 ? 1 : size);
}

void append_string(std::string& out, std::string_view inner) {
  out.push_back('"');
  for (size_t at = 0; at < inner.size();) {
    if (inner[at] != '\\') {
      at = append_character(out, inner, at);
    } else if (inner[at + 1] == 'u') {
      uint32_t unit = 0;
      for (char c : inner.substr(at + 2, 4)) unit = unit << 4 | static_cast<uint32_t>(hex_value(c));
      append_unit(out, unit);
      at += 6;
    } else {
      if (inner[at + 1] != '/') out.push_back('\\');
      out.push_back(inner[at + 1]);
      at += 2;
    }
  }
  out.push_back('"');
}

// float.__repr__: the fewest digits that mean the same; with an exponent from 1e16 on and below 1e-4.
void append_number(std::string& out, std::string_view text) {
  if (text == "-0") text = "0";
  if (text.find_first_of(".eE") == text.npos) {
    out.append(text);
    return;
  }
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range && text.find('-', 1) == text.npos) {
    out.append(text[0] == '-' ? "-Infinity" : "Infinity");
    return;
  }
  double size = value < 0 ? -value : value;
  bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  char digits[32];
  auto done = std::to_chars(digits, digits + sizeof digits, value,
                            plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string_view made(digits, static_cast<size_t>(done.ptr - digits));
  out.append(made);
  if (plain && made.find('.') == made.npos) out.append(".0");
}

}  // namespace

void append_python_json(std::string& out, Raw value) {
  std::string_view text = value.text();
  for (size_t at = 0; at < text.size();) {
    char c = text[at];
    size_t end = at + 1;
    if (c == '"') {
      while (text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      append_string(out, text.substr(at + 1, end - at - 1));
      end++;
    } else if (c == ',' || c == ':') {
      out.push_back(c);
      out.push_back(' ');
    } else if (c == '-' || (c >= '0' && c <= '9')) {
      end = std::min(text.find_first_not_of("+-.0123456789eE", at), text.size());
      append_number(out, text.substr(at, end - at));
    } else if (c != ' ' && c != '\n' && c != '\t' && c != '\r') {
      out.push_back(c);
    }
    at = end;
  }
}

}  // namespace lb
