// How much came in any stretch of time: counted afterwards from a list of what came when, and nothing else. The limits
// of lib/policy are checked against it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "base/time.h"

namespace lb::sim {

struct Came {
  Instant when;
  uint64_t call = 0;
  uint64_t tokens = 0;
};

struct Fullest {
  uint64_t requests = 0, tokens = 0;
};

// The fullest of all stretches of that length.
inline Fullest fullest(const std::deque<Came>& all, Duration length) {
  Fullest most;
  size_t first = 0;
  uint64_t tokens = 0;
  for (size_t i = 0; i < all.size(); i++) {
    tokens += all[i].tokens;
    while (all[first].when + length <= all[i].when) tokens -= all[first++].tokens;
    most.requests = std::max<uint64_t>(most.requests, i + 1 - first);
    most.tokens = std::max(most.tokens, tokens);
  }
  return most;
}

}  // namespace lb::sim
