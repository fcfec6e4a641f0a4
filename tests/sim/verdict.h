// What is wrong, in words; the first thing ends a run.
#pragma once

#include <string>

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

// Of all that callers were told: FNV-1a.
class Hash {
 public:
  void mix(uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3u; }
  void mix(std::string_view text) {
    for (char c : text) mix(static_cast<uint64_t>(static_cast<unsigned char>(c)));
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace lb::sim
