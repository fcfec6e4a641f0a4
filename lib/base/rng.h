// A small seeded generator (splitmix64: Steele, Lea, Flood 2014). One seed an engine, split by purpose, so
// that a new draw for one purpose does not disturb the replay of another.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/text.h"

namespace lb {

__extension__ using Uint128 = unsigned __int128;  // Both compilers have it; ISO C++ does not.

class Rng {
 public:
  explicit constexpr Rng(uint64_t seed) : state_(seed) {}

  constexpr uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound); bound > 0. Multiply-shift: the bias is below bound / 2^64.
  constexpr uint64_t below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<Uint128>(next()) * bound) >> 64);
  }

  // Uniform in [0, 1).
  constexpr double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

  // An independent stream for `purpose`, the same for the same seed.
  constexpr Rng split(std::string_view purpose) const {
    Rng child(state_ ^ hash_text(purpose));
    child.next();
    return child;
  }

 private:
  uint64_t state_;
};

}  // namespace lb
