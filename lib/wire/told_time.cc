#include "wire/told_time.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace lb {

namespace {

constexpr int64_t kDaySeconds = 86'400;

struct Unit {
  std::string_view name;
  double seconds;
};
constexpr Unit kUnits[] = {{"ms", 1e-3}, {"s", 1},     {"m", 60},    {"h", 3600},
                           {"d", 86400}, {"us", 1e-6}, {"µs", 1e-6}, {"ns", 1e-9}};

// Days since 1970-01-01 of a date of the Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
int64_t days_of(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t of_era = year - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

// "08:49:37", and the second that is put in at times.
std::optional<int64_t> parse_clock(std::string_view text) {
  if (text.size() != 8 || text[2] != ':' || text[5] != ':') return std::nullopt;
  auto hour = parse_u64(text.substr(0, 2)), minute = parse_u64(text.substr(3, 2)), second = parse_u64(text.substr(6));
  if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return static_cast<int64_t>(*hour * 3600 + *minute * 60 + *second);
}

std::optional<int64_t> seconds_of(std::optional<uint64_t> year, uint64_t month, std::optional<uint64_t> day,
                                  std::optional<int64_t> clock) {
  if (!year || !day || !clock || month < 1 || month > 12 || *day < 1 || *day > 31) return std::nullopt;
  int64_t days = days_of(static_cast<int64_t>(*year), static_cast<int64_t>(month), static_cast<int64_t>(*day));
  return days * kDaySeconds + *clock;
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

// Seconds east of UTC: "Z", "+05:30".
std::optional<int64_t> parse_offset(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  auto hour = parse_u64(text.substr(1, 2)), minute = parse_u64(text.substr(4));
  if (!hour || !minute || *hour > 23 || *minute > 59) return std::nullopt;
  auto east = static_cast<int64_t>(*hour * 3600 + *minute * 60);
  return text[0] == '-' ? -east : east;
}

// The clock of the one who wrote the answer; 0 where there is none.
int64_t now_of(const Head& head, int64_t unix_now_s) {
  return parse_http_date(trim(head.get("date"))).value_or(unix_now_s);
}

std::optional<Duration> wait_until(double unix_s, const Head& head, int64_t unix_now_s) {
  int64_t now = now_of(head, unix_now_s);
  if (now == 0) return std::nullopt;
  return clamp_wait(unix_s - static_cast<double>(now));
}

}  // namespace

std::optional<double> parse_finite(std::string_view text) {
  std::optional<double> number = parse_double(text);
  return number && std::isfinite(*number) ? number : std::nullopt;
}

Duration clamp_wait(double seconds) {
  if (seconds <= 0) return Duration::zero();
  if (seconds * 1e9 >= static_cast<double>(kRetryAfterMax.ns)) return kRetryAfterMax;
  return Duration{static_cast<int64_t>(seconds * 1e9)};
}

std::optional<int64_t> parse_http_date(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  std::optional<DateText> parts = split_date(text);
  if (!parts) return std::nullopt;
  size_t month = kMonths.find(parts->month);
  if (month == kMonths.npos || month % 3 != 0) return std::nullopt;
  std::optional<uint64_t> year = parse_u64(parts->year);
  // Two digits are a year of the last century or of this one, whichever HTTP has seen.
  if (year && parts->year.size() == 2) *year += *year < 70 ? 2000 : 1900;
  return seconds_of(year, month / 3 + 1, parse_u64(parts->day), parse_clock(parts->clock));
}

std::optional<double> parse_rfc3339(std::string_view text) {
  constexpr size_t kSeconds = 19;  // Up to here: 2026-11-21T07:00:00
  if (text.size() <= kSeconds || text[4] != '-' || text[7] != '-') return std::nullopt;
  if (text[10] != 'T' && text[10] != 't' && text[10] != ' ') return std::nullopt;
  std::optional<int64_t> seconds = seconds_of(parse_u64(text.substr(0, 4)), parse_u64(text.substr(5, 2)).value_or(0),
                                              parse_u64(text.substr(8, 2)), parse_clock(text.substr(11, 8)));
  std::string_view rest = text.substr(kSeconds);
  std::string_view fraction = rest.substr(0, rest.find_first_not_of("0123456789", 1));
  double part = 0;
  if (rest[0] == '.') {
    std::optional<double> number = fraction.size() > 1 ? parse_finite(fraction) : std::nullopt;
    if (!number) return std::nullopt;
    part = *number;
    rest.remove_prefix(fraction.size());
  }
  std::optional<int64_t> east = parse_offset(rest);
  if (!seconds || !east) return std::nullopt;
  return static_cast<double>(*seconds - *east) + part;
}

std::optional<double> parse_span(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789.";
  double total = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    size_t digits = text.find_first_not_of(kDigits);
    if (digits == 0 || digits == text.npos) return std::nullopt;
    std::optional<double> number = parse_finite(text.substr(0, digits));
    text.remove_prefix(digits);
    std::string_view name = text.substr(0, text.find_first_of(kDigits));
    text.remove_prefix(name.size());
    auto unit = std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& u) { return u.name == name; });
    if (!number || unit == std::end(kUnits)) return std::nullopt;
    total += *number * unit->seconds;
  }
  return total;
}

std::optional<Duration> parse_wait(std::string_view text, const Head& head, int64_t unix_now_s) {
  text = trim(text);
  if (std::optional<double> seconds = parse_finite(text)) return clamp_wait(*seconds);
  if (std::optional<double> span = parse_span(text)) return clamp_wait(*span);
  if (std::optional<int64_t> date = parse_http_date(text))
    return wait_until(static_cast<double>(*date), head, unix_now_s);
  if (std::optional<double> date = parse_rfc3339(text)) return wait_until(*date, head, unix_now_s);
  return std::nullopt;
}

std::optional<Duration> parse_reset(std::string_view text, const Head& head, int64_t unix_now_s) {
  // reference/wire.md §9: below 30 days a wait; else 10 digits of seconds, 13 of milliseconds.
  constexpr double kDateFrom = 30.0 * kDaySeconds, kMillisecondsFrom = 1e12;
  std::optional<double> number = parse_finite(trim(text));
  if (!number) return parse_wait(text, head, unix_now_s);
  if (*number <= 0) return std::nullopt;
  if (*number < kDateFrom) return clamp_wait(*number);
  return wait_until(*number >= kMillisecondsFrom ? *number / 1000 : *number, head, unix_now_s);
}

}  // namespace lb
