// Times as servers write them in the fields of an answer: dates of HTTP and of RFC 3339, spans such as "6m0s", numbers
// that are seconds or a date in disguise. What lb waits for is always a Duration from now; a date is taken against the
// Date field of the same answer, so that two clocks that differ do no harm. Pure: the wall clock is an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "wire/http1.h"

namespace lb {

// reference/wire.md §9: longer waits than a day are mistakes.
inline constexpr Duration kRetryAfterMax = Duration::from_s(86'400);

// parse_double without "nan" and "inf", which it reads as well.
std::optional<double> parse_finite(std::string_view text);
// 0 .. kRetryAfterMax.
Duration clamp_wait(double seconds);

// Seconds since 1970 of a date in any of the three forms that RFC 9110 §5.6.7 has recipients accept.
std::optional<int64_t> parse_http_date(std::string_view text);
// Seconds since 1970 of "2026-11-21T07:00:00Z", with a fraction or an offset where there is one (RFC 3339 §5.6).
std::optional<double> parse_rfc3339(std::string_view text);
// Seconds of "6m0s", "7.66s", "12ms", "1d2h": Go's durations and days.
std::optional<double> parse_span(std::string_view text);

// The value of retry-after: seconds, a span, or a date against the Date field of `head`, else `unix_now_s`; 0: no clock
// is at hand, and a date says nothing.
std::optional<Duration> parse_wait(std::string_view text, const Head& head, int64_t unix_now_s);
// The value of a reset: as parse_wait, but a number that is too large for a wait is a date of ten digits in seconds, of
// thirteen in milliseconds. 0 and -1 say nothing: Azure writes them where it does not know.
std::optional<Duration> parse_reset(std::string_view text, const Head& head, int64_t unix_now_s);

}  // namespace lb
