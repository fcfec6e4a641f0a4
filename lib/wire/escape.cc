#include "wire/escape.h"

#include <charconv>
#include <cstdint>

namespace lb {

namespace {

void append_utf8(uint32_t code, std::string& out) {
  auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 63));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 63));
    put(0x80 | (code & 63));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 63));
    put(0x80 | (code >> 6 & 63));
    put(0x80 | (code & 63));
  }
}

// Four hexadecimal digits at `at`; -1 if they are not.
int32_t hex4(std::string_view text, size_t at) {
  if (at + 4 > text.size()) return -1;
  int32_t value = 0;
  auto [end, error] = std::from_chars(text.data() + at, text.data() + at + 4, value, 16);
  return error == std::errc() && end == text.data() + at + 4 ? value : -1;
}

}  // namespace

size_t utf8_size(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(0);
  size_t size = first < 0x80                    ? 1
                : first >= 0xc2 && first < 0xe0 ? 2
                : first >= 0xe0 && first < 0xf0 ? 3
                : first >= 0xf0 && first < 0xf5 ? 4
                                                : 0;
  if (size == 0 || size > text.size()) return 0;
  for (size_t i = 1; i < size; i++)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  // Longer than need be, half of a pair, or beyond the last code point.
  bool bad = size > 2 && ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) ||
                          (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f));
  return bad ? 0 : size;
}

std::string decode_inner(std::string_view raw) {
  static constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
  std::string out;
  out.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); i++) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      out.push_back(raw[i]);
      continue;
    }
    char c = raw[++i];
    if (size_t known = kFrom.find(c); known != std::string_view::npos) {
      out.push_back(kTo[known]);
    } else if (int32_t code = c == 'u' ? hex4(raw, i + 1) : -1; code >= 0) {
      i += 4;
      auto high = static_cast<uint32_t>(code);
      bool pair = high >= 0xd800 && high < 0xdc00 && raw.substr(i + 1).starts_with("\\u");
      int32_t low = pair ? hex4(raw, i + 3) : -1;
      if (low >= 0xdc00 && low < 0xe000) {
        high = 0x10000 + ((high - 0xd800) << 10) + (static_cast<uint32_t>(low) - 0xdc00);
        i += 6;
      } else if (high >= 0xd800 && high < 0xe000) {
        high = 0xfffd;  // Half of a pair.
      }
      append_utf8(high, out);
    } else {
      out.push_back('\\');
      out.push_back(c);
    }
  }
  return out;
}

void append_inner(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  for (size_t i = 0; i < text.size(); i++) {
    char c = text[i];
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte >= 0x80) {
      size_t size = utf8_size(text.substr(i));
      size == 0 ? out.append("\xef\xbf\xbd") : out.append(text.substr(i, size));  // U+FFFD
      i += size == 0 ? 0 : size - 1;
    } else if (byte >= 0x20) {
      out.push_back(c);
    } else if (c == '\n') {
      out.append("\\n");
    } else {
      out.append("\\u00");
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
}

std::string encode_inner(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  append_inner(out, text);
  return out;
}

std::string json_quote(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  out.push_back('"');
  append_inner(out, text);
  out.push_back('"');
  return out;
}

}  // namespace lb
