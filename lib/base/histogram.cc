#include "base/histogram.h"

#include <algorithm>
#include <bit>

namespace lb {

uint32_t Histogram::bucket(uint64_t us) {
  if (us < kSub) return static_cast<uint32_t>(us);
  uint32_t octave = static_cast<uint32_t>(std::bit_width(us)) - 4;  // 8..15 is octave 0.
  uint32_t sub = static_cast<uint32_t>(us >> octave) - kSub;
  return std::min(kSub + octave * kSub + sub, kBuckets - 1);
}

uint64_t Histogram::upper_edge(uint32_t index) {
  if (index < kSub) return index;
  uint32_t octave = (index - kSub) / kSub;
  uint64_t sub = (index - kSub) % kSub + kSub;
  return ((sub + 1) << octave) - 1;
}

void Histogram::record(Duration value) {
  uint64_t us = value.ns <= 0 ? 0 : static_cast<uint64_t>(value.ns) / 1000;
  counts_[bucket(us)]++;
  count_++;
  sum_s_ += static_cast<double>(value.ns) / 1e9;
}

Duration Histogram::percentile(double q) const {
  if (count_ == 0) return Duration::zero();
  auto goal = static_cast<uint64_t>(q * static_cast<double>(count_ - 1)) + 1;
  uint64_t seen = 0;
  for (uint32_t i = 0; i < kBuckets; i++) {
    seen += counts_[i];
    if (seen >= goal) return Duration::from_us(static_cast<int64_t>(upper_edge(i)));
  }
  return Duration::from_us(static_cast<int64_t>(upper_edge(kBuckets - 1)));
}

uint64_t Histogram::at_most(Duration edge) const {
  uint64_t us = static_cast<uint64_t>(edge.ns) / 1000;
  uint64_t seen = 0;
  for (uint32_t i = 0; i < kBuckets && upper_edge(i) <= us; i++) seen += counts_[i];
  return seen;
}

void Histogram::halve() {
  count_ = 0;
  sum_s_ /= 2;
  for (uint32_t& count : counts_) count_ += count /= 2;
}

}  // namespace lb
