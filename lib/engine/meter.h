// Counters and histograms of the engine, and their two printed forms. Numbers only: no clock, no policy.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/time.h"
#include "wire/openai.h"

namespace lb {

// Durations in logarithmic buckets, eight to the octave: a percentile is at most 9 % off. From 1 µs to 19 hours.
class Histogram {
 public:
  void record(Duration value);
  uint64_t count() const { return count_; }
  double sum_s() const { return sum_s_; }
  // The upper edge of the bucket where the share `q` of all values is reached; zero without values.
  Duration percentile(double q) const;
  // Values at most `edge`, for Prometheus' cumulative buckets; exact where an edge is a bucket's.
  uint64_t at_most(Duration edge) const;

 private:
  static constexpr uint32_t kSub = 8;
  static constexpr uint32_t kBuckets = kSub * 34;
  static uint32_t bucket(uint64_t us);
  static uint64_t upper_edge(uint32_t bucket);  // µs
  uint64_t count_ = 0;
  double sum_s_ = 0;
  std::array<uint32_t, kBuckets> counts_{};
};

inline constexpr size_t kErrorClasses = static_cast<size_t>(ErrorClass::broken) + 1;

// What every call counts stands together, in one line of the processor's cache.
struct TargetMeter {
  uint64_t attempts = 0;
  uint64_t ok = 0;         // Attempts whose answer was passed on whole.
  uint64_t tokens_in = 0;
  uint64_t tokens_out = 0;
  Histogram latency;     // Of attempts that ended well: from dispatch to the end.
  Histogram first_byte;  // From dispatch to the first content.
  uint64_t cancelled = 0;  // Attempts that the caller gave up.
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
  uint64_t clock_regressions = 0;
};

}  // namespace lb
