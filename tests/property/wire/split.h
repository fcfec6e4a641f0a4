// Ways of cutting bytes, and what the property tests of wire/ share: a seed from the command line, and text that
// shows every byte.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"

namespace lb {

// Offsets at which to cut, rising, within the bytes.
using Cuts = std::vector<size_t>;

inline Cuts random_cuts(Rng& rng, size_t size) {
  Cuts cuts;
  // Now fine, now coarse: most of what breaks, breaks at one particular byte.
  uint64_t stride = uint64_t{1} << rng.below(9);
  for (size_t at = rng.below(stride + 1); at < size; at += 1 + rng.below(stride)) cuts.push_back(at);
  return cuts;
}

inline Cuts every_byte(size_t size) {
  Cuts cuts;
  for (size_t at = 1; at < size; at++) cuts.push_back(at);
  return cuts;
}

// Calls `take` with each part, in a buffer of its own that is gone afterwards, so that ASan sees a late view.
template <typename Take>
void each_part(std::string_view bytes, const Cuts& cuts, Take take) {
  size_t from = 0;
  for (size_t i = 0; i <= cuts.size(); i++) {
    size_t to = i < cuts.size() ? cuts[i] : bytes.size();
    std::vector<char> own(bytes.begin() + static_cast<ptrdiff_t>(from), bytes.begin() + static_cast<ptrdiff_t>(to));
    take(std::string_view(own.data(), own.size()));
    from = to;
  }
}

inline std::string shown(std::string_view text) {
  std::string out;
  for (char c : text) {
    char hex[8];
    std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(c));
    if (c >= ' ' && c <= '~' && c != '\\')
      out += c;
    else
      out += hex;
  }
  return out;
}

// Flips, drops, doubles or swaps in a few bytes, from `alphabet` or anything.
inline std::string damaged(Rng& rng, std::string text, std::string_view alphabet) {
  for (uint64_t n = 1 + rng.below(3); n > 0 && !text.empty(); n--) {
    size_t at = rng.below(text.size());
    char c = rng.below(4) ? alphabet[rng.below(alphabet.size())] : static_cast<char>(rng.below(256));
    switch (rng.below(4)) {
      case 0:
        text[at] = c;
        break;
      case 1:
        text.insert(at, 1, c);
        break;
      case 2:
        text.erase(at, 1 + rng.below(3));
        break;
      case 3:
        text.insert(at, text, at, 1 + rng.below(20));
        break;
    }
  }
  return text;
}

// The seed of this run: the first argument, else the same each time.
inline uint64_t seed_of(int argc, char** argv) {
  uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
  std::printf("# seed %llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace lb
