#include "config/scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

#include "base/text.h"
#include "wire/json.h"

namespace lb {

namespace {

// A double and a 64-bit integer need half of this, and cJSON reads no number longer than 63 bytes.
constexpr size_t kNumberBytes = 48;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// The digits at the front of `rest`, taken off.
std::string_view take_digits(std::string_view& rest) {
  auto end = std::find_if_not(rest.begin(), rest.end(), is_digit);
  std::string_view digits = rest.substr(0, static_cast<size_t>(end - rest.begin()));
  rest.remove_prefix(digits.size());
  return digits;
}

// 0x1f and 0o17.
std::optional<std::string> based_integer(std::string_view text) {
  int base = text.starts_with("0x") ? 16 : text.starts_with("0o") ? 8 : 0;
  if (base == 0 || text.size() == 2) return std::nullopt;
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return std::to_string(value);
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?, in JSON's stricter spelling.
std::optional<std::string> decimal(std::string_view rest) {
  std::string out;
  if (rest.starts_with('-')) out += '-';
  if (rest.starts_with('-') || rest.starts_with('+')) rest.remove_prefix(1);
  std::string_view whole = take_digits(rest);
  std::string_view fraction;
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    fraction = take_digits(rest);
  }
  if (whole.empty() && fraction.empty()) return std::nullopt;
  while (whole.size() > 1 && whole.front() == '0') whole.remove_prefix(1);
  out += whole.empty() ? "0" : whole;
  if (!fraction.empty()) (out += '.') += fraction;
  if (rest.empty()) return out;
  if (ascii_lower(rest.front()) != 'e') return std::nullopt;
  rest.remove_prefix(1);
  out += 'e';
  if (rest.starts_with('-')) out += '-';
  if (rest.starts_with('-') || rest.starts_with('+')) rest.remove_prefix(1);
  std::string_view exponent = take_digits(rest);
  if (exponent.empty() || !rest.empty()) return std::nullopt;
  return out += exponent;
}

}  // namespace

std::string string_json(std::string_view text) {
  JsonWriter writer;
  writer.value(text);
  return writer.take();
}

std::string plain_scalar_json(std::string_view text) {
  if (one_of(text, {"", "~", "null", "Null", "NULL"})) return "null";
  if (one_of(text, {"true", "True", "TRUE"})) return "true";
  if (one_of(text, {"false", "False", "FALSE"})) return "false";
  if (text.size() > kNumberBytes) return string_json(text);
  if (std::optional<std::string> number = based_integer(text)) return *number;
  if (std::optional<std::string> number = decimal(text)) return *number;
  return string_json(text);
}

// RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    auto at = [&](size_t k) { return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u; };
    unsigned lead = at(0), low = 0x80, high = 0xbf;
    size_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4) return false;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
    if (more > 0 && (at(1) < low || at(1) > high)) return false;
    for (size_t k = 2; k <= more; k++)
      if (at(k) < 0x80 || at(k) > 0xbf) return false;
    i += more + 1;
  }
  return true;
}

}  // namespace lb
