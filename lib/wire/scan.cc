#include "wire/scan.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/check.h"
#include "base/text.h"

namespace lb {

namespace {

// Keys longer than this match no path: the longest name there is, with each letter as \uXXXX.
constexpr size_t kKeyMax = 6 * 40;

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool is_scalar_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' || c == 'E';
}

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

// What stands between the quotes, with escapes decoded. What is no escape stays as it is.
std::string unescape(std::string_view raw) {
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

}  // namespace

JsonScan::JsonScan(const ScanPaths& paths) : paths_(&paths), found_(paths.size()) {}

void JsonScan::reset() {
  for (Found& found : found_) {
    found.type = JsonType::absent;
    found.begin = found.end = 0;
    found.times = 0;
    found.nonempty = found.cut = false;
    found.text.clear();
  }
  offset_ = 0;
  frames_.clear();
  expect_ = Expect::value;
  token_ = Token::none;
  escape_ = faulty_ = is_object_ = false;
  want_ = key_node_ = -1;
}

bool JsonScan::complete() const { return expect_ == Expect::nothing && !faulty_; }
bool JsonScan::faulty() const { return faulty_; }
bool JsonScan::is_object() const { return is_object_; }

bool JsonScan::feed(std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size() && !faulty_) {
    switch (token_) {
      case Token::key:
      case Token::string:
        at = read_string(bytes, at);
        break;
      case Token::scalar:
        at = read_scalar(bytes, at);
        break;
      case Token::none:
        if (is_space(bytes[at]))
          at++;
        else
          at += read_mark(bytes[at], offset_ + at);
        break;
    }
  }
  offset_ += at;
  return !faulty_;
}

// The rest of a string up to its closing quote, by memchr: most bytes of a request are in long strings.
size_t JsonScan::read_string(std::string_view bytes, size_t at) {
  size_t from = at;
  size_t quote = 0;  // Where the next one stands, once it is known: a far one is not looked for again.
  bool known = false;
  for (;;) {
    if (escape_) {
      if (at == bytes.size()) break;
      escape_ = false;
      at++;
    }
    if (!known || quote < at) {
      quote = std::min(bytes.find('"', at), bytes.size());
      known = true;
    }
    size_t slash = at == quote ? std::string_view::npos : bytes.substr(0, quote).find('\\', at);
    if (slash != std::string_view::npos) {
      at = slash + 1;
      escape_ = true;
      continue;
    }
    at = quote;
    break;
  }
  std::string_view part = bytes.substr(from, at - from);
  if (token_ == Token::key) {
    if (frames_.back().node >= 0 && key_.size() <= kKeyMax) key_.append(part.substr(0, kKeyMax + 1 - key_.size()));
  } else if (!part.empty()) {
    string_nonempty_ = true;
    capture(part);
  }
  if (at == bytes.size()) return at;
  if (token_ == Token::key) {
    key_node_ = key_.size() > kKeyMax ? int16_t{-1} : paths_->child(frames_.back().node, unescape(key_));
    expect_ = Expect::colon;
  } else {
    capture("\"");
    end_value(offset_ + at + 1, string_nonempty_);
  }
  token_ = Token::none;
  return at + 1;
}

// The rest of a number or literal. What ends it is read next.
size_t JsonScan::read_scalar(std::string_view bytes, size_t at) {
  size_t from = at;
  while (at < bytes.size() && is_scalar_char(bytes[at])) at++;
  capture(bytes.substr(from, at - from));
  if (at == bytes.size()) return at;
  token_ = Token::none;
  end_value(offset_ + at, scalar_first_ != 'n');
  return at;
}

// One byte outside of strings and scalars, at offset `where`. Returns how many bytes it consumed: a scalar's first is
// left to read_scalar.
size_t JsonScan::read_mark(char c, uint64_t where) {
  switch (expect_) {
    case Expect::value_or_end:
    case Expect::value:
      if (c == ']' && expect_ == Expect::value_or_end) {
        faulty_ = !end_container(c, where + 1);
        return 1;
      }
      return begin_value(c, where);
    case Expect::key_or_end:
    case Expect::key:
      if (c == '}' && expect_ == Expect::key_or_end) {
        faulty_ = !end_container(c, where + 1);
        return 1;
      }
      faulty_ = c != '"';
      frames_.back().nonempty = true;
      token_ = Token::key;
      key_.clear();
      return 1;
    case Expect::colon:
      faulty_ = c != ':';
      expect_ = Expect::value;
      return 1;
    case Expect::comma_or_end:
      if (c == ',')
        expect_ = frames_.back().object ? Expect::key : Expect::value;
      else
        faulty_ = !end_container(c, where + 1);
      return 1;
    case Expect::nothing:
      faulty_ = true;
      return 1;
  }
  return 1;
}

size_t JsonScan::begin_value(char c, uint64_t where) {
  int16_t node = 0;
  if (!frames_.empty()) node = frames_.back().object ? key_node_ : paths_->child(frames_.back().node, "*");
  int16_t want = paths_->want(node);
  JsonType type = c == '{'               ? JsonType::object
                  : c == '['             ? JsonType::array
                  : c == '"'             ? JsonType::string
                  : c == 't' || c == 'f' ? JsonType::boolean
                  : c == 'n'             ? JsonType::null
                                         : JsonType::number;
  if (type == JsonType::number && c != '-' && (c < '0' || c > '9')) {
    faulty_ = true;
    return 1;
  }
  if (frames_.empty()) is_object_ = type == JsonType::object;
  if (!frames_.empty()) frames_.back().nonempty = true;
  if (want >= 0) {
    Found& found = found_[static_cast<size_t>(want)];
    found.type = type;
    found.begin = where;
    found.end = 0;
    found.times++;
    found.cut = false;
    found.text.clear();
  }
  if (type == JsonType::object || type == JsonType::array) {
    faulty_ = frames_.size() == kDepthMax;
    frames_.push_back({type == JsonType::object, node, want, false});
    expect_ = type == JsonType::object ? Expect::key_or_end : Expect::value_or_end;
    return 1;
  }
  want_ = want;
  if (type == JsonType::string) {
    token_ = Token::string;
    string_nonempty_ = false;
    capture("\"");
    return 1;
  }
  token_ = Token::scalar;
  scalar_first_ = c;
  return 0;
}

bool JsonScan::end_container(char c, uint64_t end) {
  if (frames_.empty() || c != (frames_.back().object ? '}' : ']')) return false;
  Frame frame = frames_.back();
  frames_.pop_back();
  want_ = frame.want;
  end_value(end, frame.nonempty);
  return true;
}

void JsonScan::end_value(uint64_t end, bool nonempty) {
  if (want_ >= 0) {
    Found& found = found_[static_cast<size_t>(want_)];
    found.end = end;
    found.nonempty = found.nonempty || nonempty;
    want_ = -1;
  }
  expect_ = frames_.empty() ? Expect::nothing : Expect::comma_or_end;
}

void JsonScan::capture(std::string_view bytes) {
  if (want_ < 0) return;
  Found& found = found_[static_cast<size_t>(want_)];
  size_t room = kCaptureMax - found.text.size();
  found.cut = found.cut || bytes.size() > room;
  found.text.append(bytes.substr(0, room));
}

std::string JsonScan::string(size_t path) const {
  const Found& found = found_[path];
  if (found.type != JsonType::string || found.text.empty()) return "";
  std::string_view raw = std::string_view(found.text).substr(1);
  if (found.end != 0 && !found.cut) raw.remove_suffix(1);
  return unescape(raw);
}

bool JsonScan::integer(size_t path, uint64_t& out) const {
  const Found& found = found_[path];
  if (found.type != JsonType::number || found.end == 0 || found.cut) return false;
  std::optional<uint64_t> value = parse_u64(found.text);
  if (value) out = *value;
  return value.has_value();
}

std::string json_quote(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(text.size() + 2);
  out.push_back('"');
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
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
  out.push_back('"');
  return out;
}

}  // namespace lb
