// What the fuzz targets share. A target is one function that takes an input and ends the process when a law does not
// hold. An input is text, readable as it stands; behind its last byte 0xff, which no UTF-8 text has, stand the choices
// that go with it: where to cut the text, which limits to set. Without them, the choices are 0 and the cuts come from
// the text itself, so that every file is fed in several ways.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/text.h"
#include "property/wire/split.h"

// What libFuzzer, or replay.cc, calls.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace lb::fuzz {

class Choices {
 public:
  Choices() = default;
  explicit Choices(std::string_view bytes) : left_(bytes) {}
  bool none() const { return left_.empty(); }

  // In [0, bound), of as many bytes as the bound needs; 0 once they are used up. bound > 0.
  uint64_t below(uint64_t bound) {
    uint64_t value = 0;
    for (uint64_t most = bound - 1; most > 0 && !left_.empty(); most >>= 8) {
      value = value << 8 | static_cast<unsigned char>(left_[0]);
      left_.remove_prefix(1);
    }
    return value % bound;
  }

 private:
  std::string_view left_;
};

struct Input {
  std::string_view text;
  Choices choices;
};

inline Input split_input(const uint8_t* data, size_t size) {
  std::string_view all(reinterpret_cast<const char*>(data), size);
  size_t mark = all.rfind('\xff');
  if (mark == all.npos) return {all, {}};
  return {all.substr(0, mark), Choices(all.substr(mark + 1))};
}

// Where the input wants its text cut.
inline Cuts chosen_cuts(Choices& choices, std::string_view text) {
  Cuts cuts;
  if (choices.none()) {
    Rng rng(hash_text(text));
    return random_cuts(rng, text.size());
  }
  // 0 is a cut where the one before was: a piece without bytes.
  for (size_t at = choices.below(256); at < text.size() && !choices.none(); at += choices.below(256))
    cuts.push_back(at);
  return cuts;
}

inline std::string text_of(std::string_view view) { return std::string(view); }

[[noreturn]] inline void broken(std::string_view what) {
  std::fprintf(stderr, "BROKEN: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

inline void require(bool holds, std::string_view what) {
  if (!holds) broken(what);
}

// Two texts that a law says are one; from where they differ, they are shown.
inline void require_same(std::string_view is, std::string_view should, std::string_view what) {
  if (is == should) return;
  size_t at = static_cast<size_t>(std::mismatch(is.begin(), is.end(), should.begin(), should.end()).first - is.begin());
  std::fprintf(stderr, "BROKEN: %.*s\nfrom byte %zu on it is: %s\nbut should be: %s\n", static_cast<int>(what.size()),
               what.data(), at, shown(is.substr(at, 2000)).c_str(), shown(should.substr(at, 2000)).c_str());
  std::abort();
}

// `read(cuts)` gives all that reading the text told, as text: the same for the whole, for every byte by itself, and
// for the cuts that the input chose. Returns what it told.
template <typename Read>
std::string same_at_any_cut(std::string_view text, Choices& choices, Read read) {
  std::string whole = read(Cuts{});
  require_same(read(every_byte(text.size())), whole, "fed byte by byte it reads otherwise than whole");
  require_same(read(chosen_cuts(choices, text)), whole, "fed in chosen pieces it reads otherwise than whole");
  return whole;
}

}  // namespace lb::fuzz
