// How durations are spread, in constant space. A value.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"

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
  // Each value counts half from now on: what follows outweighs what was.
  void halve();

 private:
  static constexpr uint32_t kSub = 8;
  static constexpr uint32_t kBuckets = kSub * 34;
  static uint32_t bucket(uint64_t us);
  static uint64_t upper_edge(uint32_t bucket);  // µs
  uint64_t count_ = 0;
  double sum_s_ = 0;
  std::array<uint32_t, kBuckets> counts_{};
};

}  // namespace lb
