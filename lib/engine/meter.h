// What the engine counts. Numbers only: no clock, no policy.
#pragma once

#include <array>
#include <cstdint>

#include "base/histogram.h"
#include "wire/openai.h"

namespace lb {

inline constexpr size_t kErrorClasses = static_cast<size_t>(ErrorClass::broken) + 1;

// What every call counts stands together, in one line of the processor's cache.
struct TargetMeter {
  uint64_t attempts = 0;
  uint64_t ok = 0;         // Attempts whose answer was passed on whole.
  uint64_t tokens_in = 0;
  uint64_t tokens_out = 0;
  Histogram latency;     // Of attempts that ended well: from dispatch to the end.
  Histogram first_byte;  // From dispatch to the first content.
  uint64_t cancelled = 0;  // Attempts that the caller gave up, or that lost to a hedge.
  uint64_t malformed_events = 0;
  std::array<uint64_t, kErrorClasses> failed{};  // By ErrorClass; index 0 is not used.
};

struct CallMeter {
  uint64_t started = 0;
  uint64_t ok = 0;
  uint64_t failed = 0;
  uint64_t cancelled = 0;
  uint64_t retries = 0;
  uint64_t retries_denied = 0;  // The retry budget was spent.
  uint64_t invalid_answers = 0;  // They broke the rules of their route.
  uint64_t hedges = 0;
  uint64_t hedges_won = 0;      // The second attempt had content first, or the first failed meanwhile.
  uint64_t hedges_denied = 0;   // The share of calls was used up.
  uint64_t clock_regressions = 0;
};

}  // namespace lb
