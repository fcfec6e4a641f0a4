// How long an upstream asks to be left alone, read from the fields of its answer: Retry-After in all the forms that
// providers use (reference/wire.md §9). Pure: the wall clock is an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "wire/http1.h"

namespace lb {

// reference/wire.md §9: longer waits than a day are mistakes.
inline constexpr Duration kRetryAfterMax = Duration::from_s(86'400);

// Seconds since 1970 of a date in any of the three forms that RFC 9110 §5.6.7 has recipients accept.
std::optional<int64_t> parse_http_date(std::string_view text);
// Seconds of "6m0s", "7.66s", "12ms", "1d2h": Go's durations and days.
std::optional<double> parse_span(std::string_view text);

// In this order: retry-after-ms; retry-after; `body_delay`, which the body may have named ("37s"); the longest reset
// among the dimensions of which nothing is left. Clamped to 0 .. kRetryAfterMax.
std::optional<Duration> told_wait(const Head& head, std::string_view body_delay, int64_t unix_now_s);

}  // namespace lb
