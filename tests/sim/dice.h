// Random numbers by name: what is drawn for one thing does not depend on what was drawn for others, so that a scenario
// from which a call is taken away goes on as before (shrink.h), and so that it does not matter in how many turns
// something is done.
#pragma once

#include "base/rng.h"

namespace lb::sim {

inline Rng dice(uint64_t seed, std::string_view purpose, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0) {
  Rng mixed(Rng(seed).split(purpose).next() ^ a * 0x9e3779b97f4a7c15u);
  mixed = Rng(mixed.next() ^ b * 0xbf58476d1ce4e5b9u);
  return Rng(mixed.next() ^ c * 0x94d049bb133111ebu);
}

template <typename T>
T one_of(Rng& rng, std::initializer_list<T> values) {
  return values.begin()[rng.below(values.size())];
}

}  // namespace lb::sim
