// Laws that hold for any seed: each is tried for many, and the seed that broke it is named. With LB_SEED=N in the
// environment only that one is tried. To be included last: CMocka's macros (fail) break the standard headers.
#pragma once

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/rng.h"

extern "C" {
#include <cmocka.h>
}

namespace lb {

inline constexpr uint64_t kCases = 10'000;

// `law` returns what is wrong, null when nothing is.
template <typename Law>
void holds(uint64_t cases, Law law) {
  const char* only = std::getenv("LB_SEED");
  uint64_t first = only ? std::strtoull(only, nullptr, 10) : 1;
  for (uint64_t seed = first; seed <= (only ? first : cases); seed++) {
    Rng rng(seed);
    if (const char* broken = law(rng))
      fail_msg("%s; again: LB_SEED=%llu", broken, static_cast<unsigned long long>(seed));
  }
}

}  // namespace lb
