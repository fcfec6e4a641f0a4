// What is wrong, in words; the first thing ends a run.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace lb::sim {

class Verdict {
 public:
  void broken(const std::string& what) {
    if (text_.empty()) text_ = what;
  }
  bool fine() const { return text_.empty(); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Of all that callers were told: FNV-1a, of words and of what the library makes of texts.
class Hash {
 public:
  void mix(uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3u; }
  void mix(std::string_view text) {
    mix(uint64_t{std::hash<std::string_view>()(text)});
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace lb::sim
