#include "wire/retry_after.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/text.h"

namespace lb {

namespace {

struct Unit {
  std::string_view name;
  double seconds;
};
constexpr Unit kUnits[] = {{"ms", 1e-3}, {"s", 1},     {"m", 60},    {"h", 3600},
                           {"d", 86400}, {"us", 1e-6}, {"µs", 1e-6}, {"ns", 1e-9}};

std::optional<double> parse_number(std::string_view text) {
  std::optional<double> number = parse_double(text);
  return number && std::isfinite(*number) ? number : std::nullopt;  // from_chars reads "nan" and "inf" as well.
}

Duration clamp_wait(double seconds) {
  if (seconds <= 0) return Duration::zero();
  if (seconds * 1e9 >= static_cast<double>(kRetryAfterMax.ns)) return kRetryAfterMax;
  return Duration{static_cast<int64_t>(seconds * 1e9)};
}

// Days since 1970-01-01 of a date of the Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
int64_t days_of(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t of_era = year - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct DateText {
  std::string_view day, month, year, clock;
};

std::optional<DateText> split_date(std::string_view text) {
  if (text.size() == 29 && text[3] == ',' && text.ends_with(" GMT"))  // Sun, 06 Nov 1994 08:49:37 GMT
    return DateText{text.substr(5, 2), text.substr(8, 3), text.substr(12, 4), text.substr(17, 8)};
  if (text.size() == 24 && text[3] == ' ')  // Sun Nov  6 08:49:37 1994: asctime
    return DateText{text.substr(text[8] == ' ' ? 9 : 8, text[8] == ' ' ? 1 : 2), text.substr(4, 3), text.substr(20, 4),
                    text.substr(11, 8)};
  size_t comma = text.find(", ");  // Sunday, 06-Nov-94 08:49:37 GMT: RFC 850
  if (comma == text.npos || text.size() != comma + 24 || !text.ends_with(" GMT")) return std::nullopt;
  text.remove_prefix(comma + 2);
  return DateText{text.substr(0, 2), text.substr(3, 3), text.substr(7, 2), text.substr(10, 8)};
}

int64_t now_of(const Head& head, int64_t unix_now_s) {
  return parse_http_date(trim(head.get("date"))).value_or(unix_now_s);
}

// The value of retry-after: seconds, a span, or a date against the Date field of the same answer.
std::optional<Duration> parse_wait(std::string_view text, const Head& head, int64_t unix_now_s) {
  text = trim(text);
  if (std::optional<double> seconds = parse_number(text)) return clamp_wait(*seconds);
  if (std::optional<double> span = parse_span(text)) return clamp_wait(*span);
  std::optional<int64_t> date = parse_http_date(text);
  int64_t now = now_of(head, unix_now_s);
  if (!date || now == 0) return std::nullopt;
  return clamp_wait(static_cast<double>(*date - now));
}

// The value of a reset. A number of so many seconds that it cannot be a wait is a date: of ten digits in seconds, of
// thirteen in milliseconds. Azure says 0 and -1 where it does not know.
std::optional<Duration> parse_reset(std::string_view text, const Head& head, int64_t unix_now_s) {
  constexpr double kDateFrom = 30 * 86400.0, kMillisecondsFrom = 1e12;
  std::optional<double> number = parse_number(trim(text));
  if (!number) return parse_wait(text, head, unix_now_s);
  if (*number <= 0) return std::nullopt;
  if (*number < kDateFrom) return clamp_wait(*number);
  int64_t now = now_of(head, unix_now_s);
  if (now == 0) return std::nullopt;
  return clamp_wait((*number >= kMillisecondsFrom ? *number / 1000 : *number) - static_cast<double>(now));
}

std::optional<Duration> exhausted_reset(const Head& head, int64_t unix_now_s) {
  constexpr std::string_view kRemaining = "x-ratelimit-remaining", kReset = "x-ratelimit-reset";
  std::optional<Duration> longest;
  for (const Head::Field& field : head.fields) {
    if (!istarts_with(field.name, kRemaining) || parse_number(trim(field.value)).value_or(1) != 0) continue;
    std::string reset = std::string(kReset) + field.name.substr(kRemaining.size());
    std::optional<Duration> wait = parse_reset(head.get(reset), head, unix_now_s);
    if (wait && (!longest || *wait > *longest)) longest = wait;
  }
  return longest;
}

}  // namespace

std::optional<int64_t> parse_http_date(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  std::optional<DateText> parts = split_date(text);
  if (!parts || parts->clock[2] != ':' || parts->clock[5] != ':') return std::nullopt;
  size_t month = kMonths.find(parts->month);
  auto day = parse_u64(parts->day), year = parse_u64(parts->year);
  auto hour = parse_u64(parts->clock.substr(0, 2)), minute = parse_u64(parts->clock.substr(3, 2)),
       second = parse_u64(parts->clock.substr(6, 2));
  if (month == kMonths.npos || month % 3 != 0 || !day || !year || !hour || !minute || !second) return std::nullopt;
  if (*day < 1 || *day > 31 || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  // Two digits are a year of the last century or of this one, whichever HTTP has seen.
  if (parts->year.size() == 2) *year += *year < 70 ? 2000 : 1900;
  int64_t days = days_of(static_cast<int64_t>(*year), static_cast<int64_t>(month / 3 + 1), static_cast<int64_t>(*day));
  return days * 86400 + static_cast<int64_t>(*hour * 3600 + *minute * 60 + *second);
}

std::optional<double> parse_span(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789.";
  double total = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    size_t digits = text.find_first_not_of(kDigits);
    if (digits == 0 || digits == text.npos) return std::nullopt;
    std::optional<double> number = parse_number(text.substr(0, digits));
    text.remove_prefix(digits);
    std::string_view name = text.substr(0, text.find_first_of(kDigits));
    text.remove_prefix(name.size());
    auto unit = std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& u) { return u.name == name; });
    if (!number || unit == std::end(kUnits)) return std::nullopt;
    total += *number * unit->seconds;
  }
  return total;
}

std::optional<Duration> told_wait(const Head& head, std::string_view body_delay, int64_t unix_now_s) {
  if (std::optional<double> ms = parse_number(trim(head.get("retry-after-ms")))) return clamp_wait(*ms / 1000);
  if (std::optional<Duration> wait = parse_wait(head.get("retry-after"), head, unix_now_s)) return wait;
  if (std::optional<double> span = parse_span(body_delay)) return clamp_wait(*span);
  return exhausted_reset(head, unix_now_s);
}

}  // namespace lb
