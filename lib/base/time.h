// Instants and durations as int64 nanoseconds. Nothing here reads a clock: `now` is always an argument.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace lb {

struct Duration {
  int64_t ns = 0;

  static constexpr Duration from_ms(int64_t ms) { return {ms * 1'000'000}; }
  static constexpr Duration from_us(int64_t us) { return {us * 1'000}; }
  static constexpr Duration from_s(int64_t s) { return {s * 1'000'000'000}; }
  static constexpr Duration zero() { return {0}; }
  // Large enough for every deadline, small enough that now + max does not overflow.
  static constexpr Duration max() { return {std::numeric_limits<int64_t>::max() / 4}; }
  constexpr int64_t ms() const { return ns / 1'000'000; }
  // Rounded up, so that a wait of `ms_ceil` is never too short.
  constexpr int64_t ms_ceil() const { return (ns + 999'999) / 1'000'000; }
  constexpr auto operator<=>(const Duration&) const = default;
};

constexpr Duration operator+(Duration a, Duration b) { return {a.ns + b.ns}; }
constexpr Duration operator-(Duration a, Duration b) { return {a.ns - b.ns}; }
constexpr Duration operator*(Duration a, int64_t n) { return {a.ns * n}; }

// A point on the monotonic clock of the host, or of a simulation. A default Instant lies before every other: "long
// ago".
struct Instant {
  int64_t ns = 0;

  static constexpr Instant never() { return {std::numeric_limits<int64_t>::max() / 2}; }
  constexpr auto operator<=>(const Instant&) const = default;
};

constexpr Instant operator+(Instant t, Duration d) { return {t.ns + d.ns}; }
constexpr Instant operator-(Instant t, Duration d) { return {t.ns - d.ns}; }
constexpr Duration operator-(Instant a, Instant b) { return {a.ns - b.ns}; }

}  // namespace lb
