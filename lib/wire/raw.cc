#include "wire/raw.h"

#include <bitset>
#include <cstdlib>

#include "base/text.h"
#include "wire/escape.h"
#include "wire/quote.h"

namespace lb {

namespace {

constexpr bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

size_t skip_space(std::string_view text, size_t at) {
  while (at < text.size() && is_space(text[at])) at++;
  return at;
}

// One past the quote that ends the string which begins at `at`; npos if there is none.
size_t string_end(std::string_view text, size_t at) {
  bool escaped = false;
  const char* end = text.data() + text.size();
  const char* quote = find_quote(text.data() + at + 1, end, escaped);
  return quote == end ? text.npos : static_cast<size_t>(quote - text.data()) + 1;
}

// One past the value that begins at `at`, in text that has been checked.
size_t value_end(std::string_view text, size_t at) {
  size_t depth = 0;
  do {
    char c = text[at];
    if (c == '"') {
      at = string_end(text, at);
    } else if (c == '{' || c == '[') {
      depth++;
      at++;
    } else if (c == '}' || c == ']') {
      depth--;
      at++;
    } else if (depth > 0) {
      at++;
    } else {
      while (at < text.size() && !is_space(text[at]) && text[at] != ',' && text[at] != '}' && text[at] != ']') at++;
    }
  } while (depth > 0);
  return at;
}

// The grammar of RFC 8259, without recursion.
class Check {
 public:
  explicit Check(std::string_view text) : text_(text) {}
  // One value; at() is behind it and the white space that follows.
  bool value() {
    for (;;) {
      at_ = skip_space(text_, at_);
      if (at_ == text_.size()) return false;
      char c = text_[at_];
      if (c == '{' || c == '[') {
        if (depth_ == JsonScan::kDepthMax) return false;
        objects_[depth_++] = c == '{';
        at_ = skip_space(text_, at_ + 1);
        if (at_ < text_.size() && text_[at_] != closes()) {
          if (c == '{' && !key()) return false;
          continue;
        }
      } else if (!scalar()) {
        return false;
      }
      bool more = false;
      if (!close(more)) return false;
      if (!more) return depth_ == 0;
    }
  }
  size_t at() const { return at_; }

 private:
  char closes() const { return objects_[depth_ - 1] ? '}' : ']'; }

  // Behind a value, or the beginning of an empty container: what follows, up to the next value or the end.
  bool close(bool& more) {
    for (;;) {
      at_ = skip_space(text_, at_);
      if (depth_ == 0 || at_ == text_.size()) return true;
      if (text_[at_] == closes()) {
        depth_--;
        at_++;
        continue;
      }
      if (text_[at_] != ',') return false;
      at_++;
      more = true;
      return closes() == ']' || key();
    }
  }

  bool key() {
    at_ = skip_space(text_, at_);
    if (at_ == text_.size() || text_[at_] != '"' || !string()) return false;
    at_ = skip_space(text_, at_);
    if (at_ == text_.size() || text_[at_] != ':') return false;
    at_++;
    return true;
  }

  bool scalar() {
    char c = text_[at_];
    if (c == '"') return string();
    if (c == '-' || is_digit(c)) return number();
    for (std::string_view word : {std::string_view("true"), std::string_view("false"), std::string_view("null")}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return true;
    }
    return false;
  }

  bool string() {
    size_t end = string_end(text_, at_);
    if (end == text_.npos) return at_ = text_.size(), false;
    for (size_t i = at_ + 1; i + 1 < end; i++) {
      if (static_cast<unsigned char>(text_[i]) < 0x20) return at_ = i, false;
      if (text_[i] != '\\') continue;
      i++;
      if (std::string_view("\"\\/bfnrt").find(text_[i]) != std::string_view::npos) continue;
      if (text_[i] != 'u' || i + 5 >= end) return at_ = i, false;
      for (size_t n = 1; n <= 4; n++)
        if (!is_digit(text_[i + n]) && !(ascii_lower(text_[i + n]) >= 'a' && ascii_lower(text_[i + n]) <= 'f'))
          return at_ = i, false;
      i += 4;
    }
    at_ = end;
    return true;
  }

  bool digits() {
    size_t from = at_;
    while (at_ < text_.size() && is_digit(text_[at_])) at_++;
    return at_ > from;
  }

  bool number() {
    if (text_[at_] == '-') at_++;
    if (at_ < text_.size() && text_[at_] == '0')
      at_++;
    else if (!digits())
      return false;
    if (at_ < text_.size() && text_[at_] == '.') {
      at_++;
      if (!digits()) return false;
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      at_++;
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) at_++;
      if (!digits()) return false;
    }
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
  std::bitset<JsonScan::kDepthMax> objects_;  // Of the containers that are open: which are objects.
  size_t depth_ = 0;
};

}  // namespace

Result<Raw> Raw::parse(std::string_view text) {
  Check check(text);
  if (!check.value() || check.at() < text.size())
    return Error{Status::INVALID, "", "no valid JSON at byte " + std::to_string(check.at())};
  text.remove_prefix(skip_space(text, 0));
  while (is_space(text.back())) text.remove_suffix(1);
  return Raw(text);
}

Raw Raw::first(std::string_view text, size_t& at) {
  Check check(text);
  bool whole = check.value();
  at = check.at();
  if (!whole) return {};
  size_t begin = skip_space(text, 0);
  at = value_end(text, begin);
  return Raw(text.substr(begin, at - begin));
}

JsonType Raw::type() const {
  if (text_.empty()) return JsonType::absent;
  switch (text_.front()) {
    case '{': return JsonType::object;
    case '[': return JsonType::array;
    case '"': return JsonType::string;
    case 't':
    case 'f': return JsonType::boolean;
    case 'n': return JsonType::null;
    default: return JsonType::number;
  }
}

std::string Raw::decoded() const { return decode_inner(inner()); }

std::optional<uint64_t> Raw::integer() const { return is_number() ? parse_u64(text_) : std::nullopt; }

double Raw::number() const { return is_number() ? parse_double(text_).value_or(0) : 0; }

size_t Raw::size() const {
  size_t count = 0;
  for (RawWalk at = walk(); at.next();) count++;
  return count;
}

Raw Raw::operator[](std::string_view key) const {
  if (!is_object()) return {};
  for (RawWalk at = walk(); at.next();)
    if (at.is(key)) return at.value();
  return {};
}

RawWalk Raw::walk() const { return RawWalk(*this); }

RawWalk::RawWalk(Raw of) : object_(of.is_object()) {
  if (object_ || of.is_array()) rest_ = of.text_.substr(1);
}

bool RawWalk::next() {
  if (rest_.empty()) return false;
  size_t at = skip_space(rest_, 0);
  if (rest_[at] == ',') at = skip_space(rest_, at + 1);
  if (rest_[at] == '}' || rest_[at] == ']') {
    rest_ = {};
    return false;
  }
  if (object_) {
    size_t end = string_end(rest_, at);
    key_ = rest_.substr(at + 1, end - at - 2);
    at = skip_space(rest_, skip_space(rest_, end) + 1);  // The colon.
  }
  size_t end = value_end(rest_, at);
  value_ = Raw(rest_.substr(at, end - at));
  rest_.remove_prefix(end);
  return true;
}

bool RawWalk::is(std::string_view name) const {
  if (key_ == name) return true;
  return key_.find('\\') != key_.npos && decode_inner(key_) == name;
}

}  // namespace lb
