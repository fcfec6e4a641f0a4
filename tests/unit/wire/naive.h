// A plain recursive reading of JSON, for comparison with JsonScan: slow, whole documents only, easy to see through.
// It takes and refuses what JsonScan says it does: structure, not the spelling of numbers and literals.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

namespace naive {

struct Seen {
  char type = 0;  // The first byte of the value; 0 for a number.
  size_t begin = 0, end = 0, times = 0;
  bool nonempty = false;
  std::string text;  // Scalars.
};

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool document() {
    if (!value("")) return false;
    space();
    return at_ == text_.size();
  }
  // By path; elements are "*". The path of the document itself is "".
  std::map<std::string, Seen> seen;

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void space() {
    while (at_ < text_.size() && std::strchr(" \t\r\n", text_[at_]) && text_[at_]) at_++;
  }
  bool take(char c) {
    space();
    if (peek() != c || at_ == text_.size()) return false;
    at_++;
    return true;
  }

  static unsigned hex(std::string_view digits) {
    unsigned out = 0;
    for (char c : digits) out = out * 16 + static_cast<unsigned>(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    return out;
  }

  // ASCII escapes alone are decoded: no name of a path has others.
  bool key(std::string& out) {
    if (!take('"')) return false;
    while (at_ < text_.size() && text_[at_] != '"') {
      char c = text_[at_++];
      if (c == '\\') {
        if (at_ == text_.size()) return false;
        c = text_[at_++];
        if (c == 'u' && text_.substr(at_, 4).find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos &&
            text_.size() - at_ >= 4) {
          unsigned code = hex(text_.substr(at_, 4));
          at_ += 4;
          c = code < 128 ? static_cast<char>(code) : '\x80';
        } else if (c == 'u') {
          out += '\\';
        } else if (c == 'n' || c == 't' || c == 'r' || c == 'b' || c == 'f') {
          c = '\x01';
        } else if (c != '"' && c != '\\' && c != '/') {
          out += '\\';
        }
      }
      out += c;
    }
    return take('"');
  }

  static std::string below(const std::string& path, std::string name) {
    for (char& c : name)
      if (c == '.') c = '\x02';  // A member called "a.b" is not b of a.
    if (name.empty()) name = "\x04";
    return path.empty() ? name : path + "." + name;
  }

  bool value(const std::string& path) {
    space();
    if (at_ == text_.size()) return false;
    char c = peek();
    if (!std::strchr("{[\"tfn-0123456789", c) || !c) return false;
    size_t begin = at_;
    seen[path].times++;
    seen[path].type = std::strchr("{[\"tfn", c) ? c : '\0';
    seen[path].begin = begin;
    seen[path].end = 0;
    bool nonempty = false;
    bool fine = c == '{' ? object(path, nonempty) : c == '[' ? array(path, nonempty) : scalar(c, nonempty);
    if (!fine) return false;
    Seen& mine = seen[path];
    mine.end = at_;
    mine.nonempty = mine.nonempty || nonempty;
    mine.text = c == '{' || c == '[' ? "" : std::string(text_.substr(begin, at_ - begin));
    return true;
  }

  bool scalar(char c, bool& nonempty) {
    if (c != '"') {
      at_ = std::min(text_.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz+-.E", at_), text_.size());
      nonempty = c != 'n';
      return true;
    }
    at_++;
    size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    if (at_ >= text_.size()) return false;
    nonempty = at_ > begin;
    at_++;
    return true;
  }

  bool object(const std::string& path, bool& nonempty) {
    take('{');
    if (take('}')) return true;
    nonempty = true;
    do {
      std::string name;
      if (!key(name) || !take(':') || !value(below(path, name == "*" ? "\x03" : name))) return false;
    } while (take(','));
    return take('}');
  }

  bool array(const std::string& path, bool& nonempty) {
    take('[');
    if (take(']')) return true;
    nonempty = true;
    do {
      if (!value(below(path, "*"))) return false;
    } while (take(','));
    return take(']');
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace naive
