// The dialects of rate limits and of times to wait, in the fields of an answer: one "name: value" a line. All that is
// read is within its bounds; the case of names, and fields that say nothing, change nothing; dates that are written
// again read the same.
#include "wire/rate_limits.h"

#include <cmath>

#include "fuzz/field_lines.h"
#include "wire/retry_after.h"

namespace lb::fuzz {
namespace {

constexpr int64_t kNow = 1'795'244'835;  // 21 November 2026.

std::string text_of(std::optional<Duration> wait) { return wait ? std::to_string(wait->ns) : "-"; }

void require_wait(std::optional<Duration> wait, std::string_view what) {
  require(!wait || (*wait >= Duration::zero() && *wait <= kRetryAfterMax), what);
}

std::string told(const Head& head) {
  StatedLimits stated = stated_limits(head, kNow);
  require(stated.count <= kStatedLimitsMax, "more limits than there is room for");
  std::string out = "wait " + text_of(told_wait(head, "", kNow)) + " exhausted " +
                    text_of(exhausted_reset(head, kNow)) + "\n";
  require_wait(told_wait(head, "", kNow), "a wait out of bounds");
  require_wait(told_wait(head, head.get("x-body"), 0), "a wait of the body out of bounds");
  require_wait(exhausted_reset(head, kNow), "a reset out of bounds");
  for (const StatedLimit& limit : stated) {
    require_wait(limit.reset, "a reset out of bounds");
    require(limit.remaining <= kStatedCountMax && limit.limit.value_or(1) <= kStatedCountMax && limit.limit != 0,
            "a count out of bounds");
    require(limit.period >= Duration::zero() && limit.period <= Duration::from_s(366 * 86'400), "a period");
    require(limit.metric <= StatedLimit::Metric::output_tokens, "a metric");
    out += std::to_string(static_cast<int>(limit.metric)) + " " + (limit.limit ? std::to_string(*limit.limit) : "-") +
           " " + std::to_string(limit.remaining) + " " + text_of(limit.reset) + (limit.continuous ? " refills " : " ") +
           std::to_string(limit.period.ns) + "\n";
  }
  return out;
}

std::string two(int64_t number) { return (number < 10 ? "0" : "") + std::to_string(number); }

// A date in the three forms of HTTP and in that of RFC 3339. `unix_s` is of the years 1970 to 2069.
void check_date(int64_t unix_s) {
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (unix_s < 0 || unix_s >= 3'155'760'000) return;
  time_t time = unix_s;
  struct tm date = {};
  gmtime_r(&time, &date);
  std::string clock = two(date.tm_hour) + ":" + two(date.tm_min) + ":" + two(date.tm_sec);
  std::string year = std::to_string(date.tm_year + 1900), month = kMonths[date.tm_mon], day = two(date.tm_mday);
  std::string padded = (date.tm_mday < 10 ? " " : "") + std::to_string(date.tm_mday);
  for (const std::string& text : {"Sun, " + day + " " + month + " " + year + " " + clock + " GMT",
                                  "Sunday, " + day + "-" + month + "-" + year.substr(2) + " " + clock + " GMT",
                                  "Sun " + month + " " + padded + " " + clock + " " + year})
    require(parse_http_date(text) == unix_s, "a date that was written reads otherwise: " + text);
  std::string text = year + "-" + two(date.tm_mon + 1) + "-" + day + "T" + clock + "Z";
  require(parse_rfc3339(text) == static_cast<double>(unix_s), "a date that was written reads otherwise: " + text);
}

// Each value by itself.
void check_value(std::string_view value, const Head& head) {
  std::optional<int64_t> date = parse_http_date(value);
  if (date) check_date(*date);
  if (std::optional<double> exact = parse_rfc3339(value)) {
    require(std::isfinite(*exact), "a date that is not finite");
    check_date(static_cast<int64_t>(*exact));
  }
  if (std::optional<double> span = parse_span(value)) {
    require(*span >= 0, "a negative span");
    std::optional<double> twice = parse_span(std::string(value) + std::string(value));
    require(twice && (!std::isfinite(*twice) || std::abs(*twice - 2 * *span) <= 1e-9 * *twice), "twice a span");
  }
  for (std::optional<Duration> wait : {parse_wait(value, head, kNow), parse_reset(value, head, kNow),
                                       parse_wait(value, head, 0), parse_reset(value, head, 0)})
    require_wait(wait, "a wait out of bounds");
}

}  // namespace
}  // namespace lb::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb::fuzz;
  Input input = split_input(data, size);
  lb::Head head = head_of_lines(input.text);
  std::string all = told(head);
  lb::Head loud;
  for (const lb::Head::Field& field : head.fields) {
    std::string name = field.name;
    for (char& c : name)
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    loud.add("content-type", "text/plain");
    loud.add(name, " " + field.value + "\t");
    check_value(field.value, head);
  }
  require_same(told(loud), all, "in capitals and among others, the fields say something else");
  return 0;
}
